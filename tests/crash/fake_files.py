"""A file system in memory that knows what a power cut would leave of it.

Every file has two contents: what a reader sees now (the page cache) and what is certain to last.
Between them stand the changes since the last sync, in order. A power cut keeps, drops or tears
each 512-byte sector of them on its own, and the size may be any that the file had on the way. A
directory likewise has the names of now, those that last, and the changes in between, of which a
power cut keeps the first few or any of them, for POSIX orders nothing that is not synced.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

SECTOR = 512
PAGE = 4096

Write = tuple[int, bytes]


class File:
    """A file's bytes.

    Attributes:
        number: Of the inode.
        data: What a reader sees.
        durable: What lasts, whatever happens.
        changes: Since the last sync, as offset and bytes; a cut to a length is (length, None).
        errors: How often writing back in the background has failed.
        reported: Somebody was told of the last such error.
    """

    __slots__ = ("changes", "data", "durable", "errors", "number", "reported", "sizes")

    def __init__(self, number: int) -> None:
        self.number = number
        self.data = bytearray()
        self.durable = bytearray()
        self.changes: list[tuple[int, bytes | None]] = []
        self.sizes: list[int] = []
        self.errors = 0
        self.reported = True

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes into the page cache."""
        if data:
            _overlay(self.data, offset, data)
            self.changes.append((offset, bytes(data)))
            self.sizes.append(len(self.data))

    def truncate(self, length: int) -> None:
        """Cut or lengthen."""
        _resize(self.data, length)
        self.changes.append((length, None))
        self.sizes.append(length)

    def sync(self) -> None:
        """Make everything last."""
        if not self.changes:
            return
        if any(data is None for _, data in self.changes):
            self.durable = bytearray(self.data)
        else:
            _resize(self.durable, len(self.data))
            for offset, data in self.changes:
                self._write_back(offset, offset + len(data or b""))
        self.changes.clear()
        self.sizes.clear()

    def sync_range(self, start: int, end: int) -> None:
        """Make the pages of one write last, as a write with RWF_DSYNC does, and no other."""
        start, end = start // PAGE * PAGE, -(-end // PAGE) * PAGE
        if len(self.durable) < min(end, len(self.data)):
            _resize(self.durable, min(end, len(self.data)))
        self._write_back(start, end)
        left: list[tuple[int, bytes | None]] = []
        for offset, data in self.changes:
            if data is None:
                left.append((offset, data))
                continue
            if offset < start:
                left.append((offset, data[: start - offset]))
            if offset + len(data) > end:
                cut = max(0, end - offset)
                left.append((offset + cut, data[cut:]))
        self.changes = left
        if not left:
            self.sizes.clear()

    def lose(self, rng: random.Random) -> None:
        """Fail to write back: what reached the disk is a matter of luck, the cache looks clean."""
        self.durable = self.survivor(rng)
        self.changes.clear()
        self.sizes.clear()

    def survivor(self, rng: random.Random) -> bytearray:
        """Return what a power cut leaves."""
        left = bytearray(self.durable)
        if not self.changes:
            return left
        style = rng.random()
        if style < 0.2:
            return left
        if style < 0.35:
            return bytearray(self.data)
        size = rng.choice([len(left), len(self.data), rng.choice(self.sizes or [len(left)])])
        if style < 0.5:
            self._survive_in_order(left, rng.randrange(len(self.changes) + 1))
        else:
            self._survive_by_sector(left, rng)
        _resize(left, size)
        return left

    def _survive_in_order(self, left: bytearray, count: int) -> None:
        for offset, data in self.changes[:count]:
            if data is None:
                _resize(left, offset)
            else:
                _overlay(left, offset, data)

    def _survive_by_sector(self, left: bytearray, rng: random.Random) -> None:
        sectors: dict[int, list[Write]] = {}
        for offset, data in self.changes:
            if data is None:
                for sector in range(offset // SECTOR, -(-len(left) // SECTOR)):
                    cut = max(offset, sector * SECTOR)
                    zeros = bytes((sector + 1) * SECTOR - cut)
                    sectors.setdefault(sector, []).append((cut, zeros))
                continue
            for start, piece in _by_sector(offset, data):
                sectors.setdefault(start // SECTOR, []).append((start, piece))
        keep, tear = rng.random(), rng.random() * 0.2
        for writes in sectors.values():
            count = rng.randrange(1, len(writes) + 1) if rng.random() < keep else 0
            for start, piece in writes[:count]:
                _overlay(left, start, piece)
            if count < len(writes) and rng.random() < tear:
                start, piece = writes[count]
                _overlay(left, start, piece[: rng.randrange(len(piece) + 1)])

    def _write_back(self, start: int, end: int) -> None:
        start = start // PAGE * PAGE
        end = min(-(-end // PAGE) * PAGE, len(self.data))
        if start < end:
            if len(self.durable) < start:
                _resize(self.durable, start)
            self.durable[start:end] = self.data[start:end]


class Directory:
    """Names; a change is a dict of names that all come or go together."""

    __slots__ = ("changes", "durable", "names")

    def __init__(self) -> None:
        self.names: dict[str, File | Directory] = {}
        self.durable: dict[str, File | Directory] = {}
        self.changes: list[dict[str, File | Directory | None]] = []

    def change(self, change: dict[str, File | Directory | None]) -> None:
        """Set names, or remove those that are None."""
        _apply(self.names, change)
        self.changes.append(change)

    def sync(self) -> None:
        """Make every name last."""
        self.durable = dict(self.names)
        self.changes.clear()

    def survivor(self, rng: random.Random) -> dict[str, File | Directory]:
        """Return the names that a power cut leaves."""
        left = dict(self.durable)
        if not self.changes:
            return left
        if rng.random() < 0.5:
            kept = self.changes[: rng.randrange(len(self.changes) + 1)]
        else:
            chance = rng.choice([0.0, 0.3, 0.7, 1.0])
            kept = [each for each in self.changes if rng.random() < chance]
        for change in kept:
            _apply(left, change)
        return left


class FileSystem:
    """A tree of files and directories that outlives the processes that use it.

    Attributes:
        root: The data directory.
        errors: How often writing back any of the files in the background has failed.
    """

    def __init__(self, first_number: int = 100) -> None:
        self.root = Directory()
        self.errors = 0
        self._number = first_number

    def new_file(self) -> File:
        """Make a file that no directory names yet."""
        self._number += 1
        return File(self._number)

    def find(self, path: str) -> File | Directory | None:
        """Return what a path names, or None."""
        found: File | Directory | None = self.root
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if not isinstance(found, Directory):
                return None
            found = found.names.get(part)
        return found

    def directory(self, path: str) -> Directory:
        """Return a directory.

        Raises:
            FileNotFoundError: There is none.
        """
        found = self.find(path)
        if not isinstance(found, Directory):
            raise FileNotFoundError(2, "no such directory", path)
        return found

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every file with its path, sorted."""
        yield from _files(self.root, "")

    def sync_everything(self) -> None:
        """Make all files and all names last."""
        _sync(self.root)

    def power_cut(self, rng: random.Random) -> None:
        """Forget what did not last, but for what happened to reach the disk."""
        _cut(self.root, rng)


def _sync(directory: Directory) -> None:
    directory.sync()
    for child in directory.names.values():
        if isinstance(child, Directory):
            _sync(child)
        else:
            child.sync()


def _cut(directory: Directory, rng: random.Random) -> None:
    directory.names = directory.survivor(rng)
    directory.durable = dict(directory.names)
    directory.changes.clear()
    for name in sorted(directory.names):
        child = directory.names[name]
        if isinstance(child, Directory):
            _cut(child, rng)
        else:
            child.durable = child.survivor(rng)
            child.data = bytearray(child.durable)
            child.changes.clear()
            child.sizes.clear()
            child.errors, child.reported = 0, True


def _files(directory: Directory, prefix: str) -> Iterator[tuple[str, File]]:
    for name in sorted(directory.names):
        child = directory.names[name]
        if isinstance(child, Directory):
            yield from _files(child, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", child


def _apply(names: dict[str, File | Directory], change: dict[str, File | Directory | None]) -> None:
    for name, child in change.items():
        if child is None:
            names.pop(name, None)
        else:
            names[name] = child


def _by_sector(offset: int, data: bytes) -> Iterator[Write]:
    place = 0
    while place < len(data):
        length = SECTOR - (offset + place) % SECTOR
        yield offset + place, data[place : place + length]
        place += length


def _overlay(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset:
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


def _resize(target: bytearray, length: int) -> None:
    if len(target) > length:
        del target[length:]
    else:
        target.extend(bytes(length - len(target)))
