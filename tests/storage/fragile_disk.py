"""A real disk that can be told to fail, to wait, and to say what was asked of it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path

from storage.durable import Disk
from storage.segment import BATCHES_AT

Hook = Callable[[str, str], int | None]
"""Called with the name of a call and a path; it may wait, raise, or say how many bytes to take."""


class FragileDisk(Disk):
    """Every call goes to the real files, after `before` was asked.

    Attributes:
        before: May wait, raise an `OSError`, or return how many bytes of a write are taken.
        calls: The calls so far, each with its path.
        free: What the file system claims to have free; None for the truth.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before: Hook = lambda call, path: None
        self.calls: list[tuple[str, str]] = []
        self.free: int | None = None
        self._paths: dict[int, str] = {}
        self._lock = threading.Lock()

    def count(self, call: str, suffix: str = "") -> int:
        """Tell how often a call was made for paths that end so."""
        return sum(name == call and path.endswith(suffix) for name, path in self.calls)

    def path_of(self, descriptor: int) -> str:
        return self._paths.get(descriptor, "")

    def _asked(self, call: str, path: str) -> int | None:
        with self._lock:
            self.calls.append((call, path))
        return self.before(call, path)

    def open(self, path: str, *, create: bool = False) -> int:
        self._asked("open", path)
        descriptor = super().open(path, create=create)
        self._paths[descriptor] = path
        return descriptor

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        taken = self._asked("write", self.path_of(descriptor))
        super().write(descriptor, data if taken is None else data[:taken], offset)
        if taken is not None:
            raise OSError(errno.EIO, f"only {taken} bytes were written")

    def write_durable(self, descriptor: int, data: bytes, offset: int) -> None:
        call = "header" if offset < BATCHES_AT else "batch"
        taken = self._asked(call, self.path_of(descriptor))
        super().write_durable(descriptor, data if taken is None else data[:taken], offset)
        if taken is not None:
            raise OSError(errno.EIO, f"only {taken} bytes were written")

    def sync(self, descriptor: int) -> None:
        self._asked("sync", self.path_of(descriptor))
        super().sync(descriptor)

    def sync_directory(self, path: str) -> None:
        self._asked("sync_directory", path)
        super().sync_directory(path)

    def sync_everything(self) -> bool:
        self._asked("sync_everything", "")
        return super().sync_everything()

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._asked("read", self.path_of(descriptor))
        return super().read(descriptor, length, offset)

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        self._asked("read_cached", self.path_of(descriptor))
        return super().read_cached(descriptor, length, offset)

    def replace(self, source: str, target: str) -> None:
        self._asked("replace", source)
        super().replace(source, target)

    def free_bytes(self) -> int:
        self._asked("free_bytes", "")
        return super().free_bytes() if self.free is None else self.free


def failing(*calls: str, suffix: str = "", code: int = errno.EIO) -> Hook:
    """Return a hook under which these calls fail for paths that end so."""

    def hook(call: str, path: str) -> int | None:
        if call in calls and path.endswith(suffix):
            raise OSError(code, "this disk fails")
        return None

    return hook


class Held:
    """A hook that makes calls wait until they are let go."""

    def __init__(self, *calls: str, suffix: str = "") -> None:
        self._calls = calls
        self._suffix = suffix
        self.reached = threading.Event()
        self._go = threading.Event()

    def __call__(self, call: str, path: str) -> int | None:
        if call in self._calls and path.endswith(self._suffix):
            self.reached.set()
            assert self._go.wait(20), "nobody let the disk go on"
        return None

    def let_go(self) -> None:
        self._go.set()
