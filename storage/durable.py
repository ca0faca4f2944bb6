"""The system calls that make bytes last: nothing else in the project calls them.

Everything that storage does to a disk goes through one `Disk`, so that a test can put a disk in its
place which forgets what was not synced, tears what was, or fails at any call.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage import filesystem

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


READ_CACHED_BYTES_MAX = 256 * 1024
"""What may be copied out of the page cache in the event loop, in bytes."""


class Disk:
    """A directory on a real file system.

    Every path is relative to `root`. All methods may block, but for `read_cached`.

    Attributes:
        root: The data directory.
        writes_through: One call can write and make durable (RWF_DSYNC); else a sync follows.
        reads_ahead: A read can say "not in memory" instead of waiting (RWF_NOWAIT).
        syncs: How often bytes were made durable; the measure of what a write costs.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"
        self._whole = -1
        self.writes_through = False
        self.reads_ahead = False
        self.syncs = 0
        # The event loop alone reads into it, and takes a copy at once.
        self._window = memoryview(bytearray(READ_CACHED_BYTES_MAX))

    def probe(self) -> None:
        """Find out, once, what this kernel and this file system can do."""
        self.writes_through = filesystem.writes_through(self.root)
        self.reads_ahead = filesystem.reads_ahead(self.root)
        if filesystem.syncs_whole(self.root):
            # It tells of what failed since it was opened, or since it last told: so it stays open.
            self._whole = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def release(self) -> None:
        """Give back what `probe` opened."""
        if self._whole >= 0:
            os.close(self._whole)
            self._whole = -1

    def open(self, path: str, *, create: bool = False) -> int:
        """Open for reading and writing; with `create` the file is made where it is missing."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return os.open(self._prefix + path, flags, FILE_MODE)

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Put bytes at a place; they are not durable yet.

        Raises:
            OSError: Also when only a part was taken: what is there now is unknown.
        """
        _complete(os.pwrite(descriptor, data, offset), data)

    def write_durable(self, descriptor: int, data: bytes, offset: int) -> None:
        """Put bytes at a place of a file that has them already, and return once they last.

        Raises:
            OSError: Whether the bytes are there is unknown; never sync this descriptor again.
        """
        if self.writes_through:
            self.syncs += 1
            _complete(os.pwritev(descriptor, [data], offset, os.RWF_DSYNC), data)
        else:
            self.write(descriptor, data, offset)
            self.sync(descriptor)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes and its size durable.

        Raises:
            OSError: What was written since the last sync may be lost though a retry would succeed.
        """
        self.syncs += 1
        if sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(descriptor)

    def sync_everything(self) -> bool:
        """Make all that was written durable, names included, if one call can be trusted with it.

        Returns:
            Whether it can, and did.

        Raises:
            OSError: Something was not made durable; each file's own sync says whether it was it.
        """
        if self._whole < 0 or filesystem.syncfs is None:
            return False
        self.syncs += 1
        if filesystem.syncfs(self._whole) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return True

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        self.syncs += 1
        descriptor = os.open(self._prefix + path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""
        chunks = []
        while length > 0:
            chunk = os.pread(descriptor, length, offset)
            if not chunk:
                break
            chunks.append(chunk)
            length -= len(chunk)
            offset += len(chunk)
        return b"".join(chunks)

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        """Read exactly `length` bytes without waiting; for the event loop alone.

        Args:
            descriptor: Of an open file.
            length: At most `READ_CACHED_BYTES_MAX`.
            offset: In bytes.

        Returns:
            None when they are not all in memory.
        """
        if not self.reads_ahead:
            return None
        window = self._window[:length]
        try:
            got = os.preadv(descriptor, (window,), offset, os.RWF_NOWAIT)
        except OSError:
            return None
        return bytes(window) if got == length else None

    def size(self, descriptor: int) -> int:
        """Return a file's length in bytes."""
        return os.fstat(descriptor).st_size

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut a file to a length in bytes; not durable until the next sync."""
        os.ftruncate(descriptor, length)

    def make_directory(self, path: str) -> list[str]:
        """Make a directory and those above it; return each directory that got a new name in it."""
        parent = os.path.dirname(path) or "."
        try:
            os.mkdir(self._prefix + path, DIRECTORY_MODE)
        except FileExistsError:
            return []
        except FileNotFoundError:
            return [*self.make_directory(parent), *self.make_directory(path)]
        return [parent]

    def replace(self, source: str, target: str) -> None:
        """Give a file another file's name, whole or not at all; durable once the directory is."""
        os.replace(self._prefix + source, self._prefix + target)

    def unlink(self, path: str) -> None:
        """Remove a name; one that is not there is no error."""
        with suppress(FileNotFoundError):
            os.unlink(self._prefix + path)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or directory of that name."""
        return os.path.lexists(self._prefix + path)

    def names(self, path: str) -> list[str]:
        """List a directory, sorted; a missing one is empty."""
        try:
            return sorted(os.listdir(self._prefix + path))
        except FileNotFoundError:
            return []

    def free_bytes(self) -> int:
        """Return what an unprivileged user may still write."""
        stat = os.statvfs(self._prefix)
        return stat.f_bavail * stat.f_frsize

    def free_names(self) -> int | None:
        """Return how many more files can be made; None where that has no bound or is unknown."""
        try:
            stat = os.statvfs(self._prefix)
        except OSError:
            return None
        return stat.f_favail if stat.f_files else None

    @contextmanager
    def opened(self, path: str, *, create: bool = False) -> Iterator[int]:
        """Open a file for the length of a block."""
        descriptor = self.open(path, create=create)
        try:
            yield descriptor
        finally:
            self.close(descriptor)

    def read_file(self, path: str) -> bytes:
        """Return a whole file.

        Raises:
            FileNotFoundError: There is none.
        """
        with self.opened(path) as descriptor:
            return self.read(descriptor, self.size(descriptor), 0)

    def write_aside(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Replace a file by a new one, so that a reader finds the old or the new, never a part."""
        aside = f"{path}.new"
        self.unlink(aside)
        with self.opened(aside, create=True) as descriptor:
            self.write(descriptor, data, 0)
            if durable:
                self.sync(descriptor)
        self.replace(aside, path)
        if durable:
            self.sync_directory(os.path.dirname(path) or ".")


def and_above(folder: str) -> list[str]:
    """Return a folder and all above it, up to the data directory itself."""
    found = [folder]
    while folder:
        folder = os.path.dirname(folder)
        found.append(folder or ".")
    return found


def _complete(written: int, data: bytes) -> None:
    if written != len(data):
        raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")
