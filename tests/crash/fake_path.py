"""The data directory's path, in a simulated tree."""

from __future__ import annotations

import errno
import os

from tests.crash.fake_files import File, FileSystem


class FakePath:
    """What storage asks of the data directory's `Path`, answered from the simulated tree."""

    def __init__(self, files: FileSystem, path: str = ".") -> None:
        self._files, self._path = files, path

    def __truediv__(self, name: str) -> FakePath:
        return FakePath(self._files, name)

    def __str__(self) -> str:
        return "/simulated"

    @property
    def name(self) -> str:
        return os.path.basename(self._path)

    def rglob(self, pattern: str) -> list[FakePath]:
        end = pattern.removeprefix("*")
        return [
            FakePath(self._files, path) for path, _ in self._files.files() if path.endswith(end)
        ]

    def stat(self) -> os.stat_result:
        found = self._files.find(self._path)
        if not isinstance(found, File):
            raise FileNotFoundError(errno.ENOENT, "no such file", self._path)
        return os.stat_result((0o100600, found.number, 0, 1, 0, 0, len(found.data), 0, 0, 0))
