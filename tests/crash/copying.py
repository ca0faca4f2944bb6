"""A live copy of the data directory, as cp, tar and rsync make one: file by file, in any order."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.crash.fake_files import Directory, File, FileSystem


class Copier:
    """One copy, made a few bytes at a time while its source goes on.

    Attributes:
        sure: The units that were acknowledged before it began.
        done: It is whole.
    """

    def __init__(self, source: FileSystem, sure: set[int], rng: random.Random) -> None:
        self.source = source
        self.target = FileSystem(first_number=1000 + rng.randrange(1000))
        self.sure = sure
        self.done = False
        self._rng = rng
        self._pause: Callable[[], None] = lambda: None

    def run(self, pause: Callable[[], None]) -> None:
        """Copy everything."""
        self._pause = pause
        self._directory(self.source.root, self.target.root)
        for _, file in self.target.files():
            file.sync()
        self.done = True

    def _directory(self, source: Directory, target: Directory) -> None:
        names = sorted(source.names)
        self._rng.shuffle(names)
        for name in names:
            self._wait()
            child = source.names.get(name)
            if isinstance(child, Directory):
                folder = Directory()
                target.durable[name] = target.names[name] = folder
                self._directory(child, folder)
            elif child is not None:
                file = self.target.new_file()
                self._file(child, file)
                target.durable[name] = target.names[name] = file

    def _file(self, source: File, target: File) -> None:
        """Read to the end as it is found, like cp, or to the end as it was at first, like tar."""
        size = len(source.data) if self._rng.random() < 0.5 else 1 << 40
        step = self._rng.choice([300, 4096, 65536])
        place = 0
        while place < size:
            chunk = bytes(source.data[place : min(place + step, size)])
            if not chunk:
                break
            target.write(place, chunk)
            place += len(chunk)
            self._wait()

    def _wait(self) -> None:
        for _ in range(self._rng.choice([0, 0, 1, 1, 3])):
            self._pause()
