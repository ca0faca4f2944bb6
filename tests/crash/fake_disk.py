"""The disk of one process on a simulated file system: it crashes, fails and dawdles on command."""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from storage.durable import Disk
from tests.crash.fake_files import SECTOR, Directory, File, FileSystem
from tests.crash.fake_path import FakePath
from tests.crash.faults import Counts, Faults
from tests.crash.hazards import Hazards, Trace
from tests.crash.schedule import Scheduler

PLENTY = 1 << 40


@dataclass(slots=True)
class _Open:
    path: str
    file: File
    errors: int


class FakeDisk(Hazards, Disk):
    """The calls of a `Disk`, on a simulated file system.

    Attributes:
        files: The file system, which outlives the process.
    """

    def __init__(
        self,
        files: FileSystem,
        rng: random.Random,
        scheduler: Scheduler | None = None,
        *,
        faults: Faults | None = None,
        trace: Trace | None = None,
        counts: Counts | None = None,
    ) -> None:
        Hazards.__init__(self, rng, scheduler, faults, trace, counts)
        Disk.__init__(self, cast(Path, FakePath(files)))
        self.files = files
        self._open: dict[int, _Open] = {}
        self._next = 3
        self._through = rng.random() < 0.8
        self._ahead = rng.random() < 0.7
        self._whole_works = rng.random() < 0.5
        self._whole_errors = files.errors

    def probe(self) -> None:
        self.writes_through, self.reads_ahead = self._through, self._ahead

    def open(self, path: str, *, create: bool = False) -> int:
        self._begin("open", path)
        found = self.files.find(path)
        if found is None and create:
            self._begin("create", path)
            found = self.files.new_file()
            folder, name = os.path.split(path)
            self.files.directory(folder).change({name: found})
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        if isinstance(found, Directory):
            raise IsADirectoryError(errno.EISDIR, "a directory", path)
        self._next += 1
        # Linux tells an error that nobody was told yet also to who opens the file afterwards.
        self._open[self._next] = _Open(path, found, found.errors - (not found.reported))
        return self._next

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        opened = self._open[descriptor]
        self._begin("write", opened.path, lambda part: self._partly(opened, data, offset, part))
        cut = self._rng.randrange(len(data) + 1) if data and self._rng.random() < 0.1 else 0
        if cut:
            # Nothing keeps a reader, least of all one that copies, from seeing half a write.
            opened.file.write(offset, data[:cut])
            self._stand()
        opened.file.write(offset + cut, data[cut:])
        self._end("write", opened.path, f"{offset}+{len(data)}")

    def write_durable(self, descriptor: int, data: bytes, offset: int) -> None:
        if not self.writes_through:
            self.write(descriptor, data, offset)
            self.sync(descriptor)
            return
        opened = self._open[descriptor]
        self.syncs += 1
        self._begin(
            "write_durable",
            opened.path,
            lambda part: self._partly(opened, data, offset, part),
            lambda: self._fail_sync(opened),
        )
        self._take_time()
        opened.file.write(offset, data)
        opened.file.sync_range(offset, offset + len(data))
        self._end("write_durable", opened.path, f"{offset}+{len(data)}")

    def sync(self, descriptor: int) -> None:
        opened = self._open[descriptor]
        self.syncs += 1
        self._begin("sync", opened.path, None, lambda: self._fail_sync(opened))
        self._take_time()
        if opened.errors != opened.file.errors:
            opened.errors, opened.file.reported = opened.file.errors, True
            self.faults.injected += 1
            self._note(f"sync {opened.path} reports an earlier error")
            raise OSError(errno.EIO, "an earlier write failed", opened.path)
        opened.file.sync()
        self._end("sync", opened.path)

    def sync_directory(self, path: str) -> None:
        self.syncs += 1
        directory = self.files.directory(path)
        # A file system whose own journal fails goes read-only: it never pretends to have synced.
        self._begin("sync_directory", path)
        self._take_time()
        directory.sync()
        self._end("sync_directory", path)

    def sync_everything(self) -> bool:
        if not self._whole_works:
            return False
        self.syncs += 1
        self._begin("sync_everything", ".", None, self._lose_some)
        self._take_time()
        if self._whole_errors != self.files.errors:
            self._whole_errors = self.files.errors
            self._note("sync_everything reports an earlier error")
            raise OSError(errno.EIO, "an earlier write failed")
        self.files.sync_everything()
        self._end("sync_everything", ".")
        return True

    def release(self) -> None:
        pass

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        opened = self._open[descriptor]
        self._begin("read", opened.path)
        return bytes(opened.file.data[offset : offset + length])

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        if not self.reads_ahead or self._rng.random() < 0.3:
            return None
        found = bytes(self._open[descriptor].file.data[offset : offset + length])
        return found if len(found) == length else None

    def size(self, descriptor: int) -> int:
        opened = self._open[descriptor]
        self._begin("size", opened.path)
        return len(opened.file.data)

    def truncate(self, descriptor: int, length: int) -> None:
        opened = self._open[descriptor]
        self._begin("truncate", opened.path)
        opened.file.truncate(length)
        self._end("truncate", opened.path, str(length))

    def make_directory(self, path: str) -> list[str]:
        found = self.files.find(path)
        if isinstance(found, Directory):
            return []
        parent, name = os.path.split(path)
        made = self.make_directory(parent) if parent else []
        self._begin("mkdir", path)
        self.files.directory(parent).change({name: Directory()})
        self._end("mkdir", path)
        return [*made, parent or "."]

    def replace(self, source: str, target: str) -> None:
        self._begin("replace", target)
        folder, name = os.path.split(source)
        moved = self.files.find(source)
        if moved is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", source)
        assert folder == os.path.dirname(target), "only within one directory"
        self.files.directory(folder).change({name: None, os.path.basename(target): moved})
        self._end("replace", target)

    def unlink(self, path: str) -> None:
        self._begin("unlink", path)
        folder, name = os.path.split(path)
        directory = self.files.find(folder)
        if isinstance(directory, Directory) and name in directory.names:
            directory.change({name: None})
        self._end("unlink", path)

    def exists(self, path: str) -> bool:
        return self.files.find(path) is not None

    def names(self, path: str) -> list[str]:
        self._begin("names", path)
        found = self.files.find(path)
        return sorted(found.names) if isinstance(found, Directory) else []

    def free_bytes(self) -> int:
        self._begin("free_bytes", ".")
        if self._rng.random() < self.faults.full:
            self.faults.injected += 1
            self._counts.faults["no room"] += 1
            return 0
        return PLENTY

    def free_names(self) -> int | None:
        return None

    def inode(self, descriptor: int) -> int:
        """Return the number by which a copy is told from its original."""
        return self._open[descriptor].file.number

    def fail_behind(self, path: str, file: File) -> None:
        """Fail to write a file back while nobody waits for it."""
        self._counts.faults["background EIO"] += 1
        self._note(f"background {path} is not written back")
        file.lose(self._rng)
        file.errors += 1
        file.reported = False
        self.files.errors += 1

    def _lose_some(self) -> None:
        """Leave what a failed sync of everything does: it has told of the errors, no file has."""
        for path, file in self.files.files():
            if file.changes and self._rng.random() < 0.4:
                self.fail_behind(path, file)
        self._whole_errors = self.files.errors

    def _partly(self, opened: _Open, data: bytes, offset: int, part: float) -> None:
        """Take only the front of a write, cut where a sector ends, or all of it."""
        length = int(part * 1.5 * len(data))
        if length < len(data):
            length = max(0, (offset + length) // SECTOR * SECTOR - offset)
        opened.file.write(offset, data[:length])

    def _fail_sync(self, opened: _Open) -> None:
        if self._rng.random() < 0.8:
            opened.file.lose(self._rng)
