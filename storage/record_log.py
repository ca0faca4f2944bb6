"""One append-only JSONL file: what is appended at its known end, and records read back from it.

A `ThreadLog` holds the messages of one thread, a `CatalogLog` the threads of one organisation. They
differ in how a record's key is told, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import msgspec

from storage import run
from storage.append import Append, LogHeader
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.index import ENTRY_BYTES, Index
from storage.reader import Cut, Place, Reader
from storage.record import ADDS, HEADER, checksum, encode, payload
from storage.sidecar_file import NO_SIDECAR

_HEADER_BYTES = 512
_RESIDENT_BYTES = 1024
_IDS_AT_ONCE = 1000


class RecordLog:
    """A log and its index, both as of the last commit.

    Attributes:
        path: Relative to the data directory.
        generation: Of the file; frames of the journal name it.
        end: Where the next line goes, in bytes.
        index: The live records.
        pending: Records handed to the committer and not settled yet.
        pending_adds: Those among them that add a record.
        owed: The journal holds lines that the file does not: it takes no more until it has them.
        last_offset: Where the line before `end` begins.
        last_line: Its checksum digits.
        torn: The file ends in the middle of a line, and no crash explains it: it takes no more.
        gap: Lines that stood behind its end are lost: it takes no more either.
        sidecar: How far the sidecar on disk has come.
        saving: The sidecar is being written.
        reading: Reads on their way that hold offsets of this generation.
        compacting: Its next generation is being written.
        unfit_end: Where the log ended when it proved too damaged to be rewritten; 0 if it did not.
        held: Nothing new may be begun on it: it is about to be replaced by its next generation.
        dropped: What it holds was deleted.
        sealed: Its header says that what it holds is sealed.
    """

    BY_SEQUENCE: ClassVar[bool]
    ADD: ClassVar[str]
    REPLACE: ClassVar[str]
    REMOVE: ClassVar[str]

    def __init__(self, path: str, disk: Disk, descriptors: Descriptors) -> None:
        self.path = path
        self.generation = 1
        self.end = 0
        self.index = Index()
        self.pending = 0
        self.pending_adds = 0
        self.owed = False
        self.torn = False
        self.gap = False
        self.last_offset = 0
        self.last_line = b""
        self.sidecar = NO_SIDECAR
        self.saving = False
        self.reading = 0
        self.compacting = False
        self.unfit_end = 0
        self.held = False
        self.dropped = False
        self.sealed = False
        self._waiting: list[Callable[[], None]] = []
        self._quiet: Callable[[], None] | None = None
        self._reader = Reader(disk, descriptors, by_sequence=self.BY_SEQUENCE)

    @staticmethod
    def key(sequence: int, data: bytes) -> int:
        """Tell the key of a record from its line's `s` and its object."""
        raise NotImplementedError

    @staticmethod
    def key_of_id(data: bytes) -> int:
        """Tell the key of a record from the id that its object begins with.

        Raises:
            ValueError: It begins with no such id.
        """
        raise NotImplementedError

    @staticmethod
    def created_ms(data: bytes) -> int:
        """Tell when a record was created from the id that its object begins with."""
        raise NotImplementedError

    @property
    def sidecar_path(self) -> str:
        """Where the index is cached."""
        return self.path.removesuffix(".jsonl") + ".idx"

    def header(self, header: LogHeader) -> Append:
        """Return the first line of a new log."""
        return self._append(HEADER, 0, 0, encode(HEADER, 0, msgspec.json.encode(header)))

    def add(self, sequence: int, data: bytes, sealed: bytes = b"") -> Append:
        """Return a line that adds a record.

        Raises:
            RecordError: The object is too long for a line.
        """
        line = encode(self.ADD, sequence, data, sealed)
        self.pending += 1
        self.pending_adds += 1
        return Append(self, self.ADD, self.key(sequence, data), self.created_ms(data), line)

    def replace(self, sequence: int, data: bytes, sealed: bytes = b"") -> Append:
        """Return a line that gives a record its new version.

        Raises:
            RecordError: The object is too long for a line.
        """
        line = encode(self.REPLACE, sequence, data, sealed)
        return self._append(self.REPLACE, self.key(sequence, data), 0, line)

    def remove(self, sequence: int, data: bytes) -> Append:
        """Return a tombstone; `data` is an object that begins with the record's id."""
        line = encode(self.REMOVE, sequence, data)
        return self._append(self.REMOVE, self.key(sequence, data), 0, line)

    def _append(self, kind: str, key: int, ms: int, line: bytes) -> Append:
        self.pending += kind != HEADER
        return Append(self, kind, key, ms, line)

    def settle(self, append: Append, *, committed: bool) -> None:
        """Take a line in once it is in the file, or forget it when it will never be."""
        self.pending -= append.kind != HEADER
        self.pending_adds -= append.kind in ADDS
        if self.held:
            self.look_quiet()
        if not committed:
            return
        line, index = append.line, self.index
        self.end = append.offset + len(line)
        self.last_offset = append.offset
        self.last_line = checksum(line)
        if append.kind == HEADER:
            return
        index.lengthen(line)
        index.apply(append.kind, append.key, append.offset, len(line))
        if append.ms > index.last_ms:
            index.last_ms = append.ms

    def hold(self, quiet: Callable[[], None]) -> None:
        """Let nothing new begin, and call `quiet` once nothing is on its way."""
        self.held = True
        self._quiet = quiet
        self.look_quiet()

    def look_quiet(self) -> None:
        """Tell who holds the log if nothing is on its way any more."""
        if self._quiet is not None and not self.pending and not self.reading:
            quiet, self._quiet = self._quiet, None
            quiet()

    def when_released(self, wake: Callable[[], None]) -> None:
        """Call `wake` when something may begin again."""
        self._waiting.append(wake)

    def release(self) -> None:
        """Let things begin again."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    @property
    def is_cut(self) -> bool:
        """Whether its end is not as it was written: it takes nothing until it is repaired."""
        return self.torn or self.gap

    @property
    def dead_bytes(self) -> int:
        """What a rewrite would save, in bytes, about: deleted and superseded lines."""
        return max(0, self.end - self.index.live_bytes - _HEADER_BYTES)

    def place(self, key: int) -> Place | None:
        """Return where a live record stands, or None."""
        position = self.index.find(key)
        if position is None:
            return None
        return key, self.index.offsets[position], self.index.lengths[position]

    def places(self, positions: range) -> list[Place]:
        """Return where the entries at these positions of the index stand, in that order."""
        index = self.index
        if not positions:
            return []
        if positions.step < 0:
            return self.places(positions[::-1])[::-1]
        part = slice(positions.start, positions.stop)
        return list(zip(index.keys[part], index.offsets[part], index.lengths[part], strict=True))

    def page_now(self, positions: range) -> list[bytes] | None:
        """Return the objects of a page whose lines are a run, in the order of its positions.

        Returns:
            None when they are none, when that would mean waiting for the disk, and when they do not
            read back as they were written.
        """
        bounds = run.bounds(self.index, positions)
        if bounds is None:
            return None
        piece = self._reader.piece_now(self.path, *bounds)
        return None if piece is None else run.objects(self.index, positions, piece)

    def read_now(self, places: Sequence[Place], cut: Cut = payload) -> list[bytes] | None:
        """Return the objects at these places, or None when that would mean waiting for the disk.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
        """
        return self._reader.read_now(self.path, places, cut)

    def read(self, places: Sequence[Place], cut: Cut = payload) -> list[bytes]:
        """Return the objects at these places; blocks.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
            OSError: The file cannot be read.
        """
        return self._reader.read(self.path, places, cut)

    @property
    def memory_bytes(self) -> int:
        """What keeping this log open costs, in bytes."""
        return _RESIDENT_BYTES + ENTRY_BYTES * len(self.index.keys)


class ThreadLog(RecordLog):
    """The messages of one thread; a key is a message's sequence, counted from 1."""

    BY_SEQUENCE = True
    ADD, REPLACE, REMOVE = "m", "u", "x"

    @staticmethod
    def key(sequence: int, data: bytes) -> int:
        """Return the sequence."""
        return sequence

    @staticmethod
    def key_of_id(data: bytes) -> int:
        """Read the 13th to 20th of the 32 hex digits of `{"id":"msg-`."""
        return int(data[23:31], 16)

    @staticmethod
    def created_ms(data: bytes) -> int:
        """Read the milliseconds of `{"id":"msg-` and 32 hex digits."""
        return int(data[11:23], 16)

    @property
    def next_sequence(self) -> int:
        """The sequence of the next message, those on their way counted."""
        return self.index.last_key + 1 + self.pending_adds


class CatalogLog(RecordLog):
    """The threads of one organisation; a key is the first 64 bits of a thread's id.

    `s` numbers the records of the file.
    """

    BY_SEQUENCE = False
    ADD, REPLACE, REMOVE = "t", "v", "y"

    @staticmethod
    def key(sequence: int, data: bytes) -> int:
        """Return the first 64 bits of the id."""
        return int(data[14:30], 16)

    @staticmethod
    def key_of_id(data: bytes) -> int:
        """Read the first 16 of the 32 hex digits of `{"id":"thread-`."""
        return int(data[14:30], 16)

    @staticmethod
    def created_ms(data: bytes) -> int:
        """Read the milliseconds of `{"id":"thread-` and 32 hex digits."""
        return int(data[14:26], 16)

    def thread_ids(self) -> Iterator[str]:
        """Yield the id of every live thread, oldest first; blocks.

        Raises:
            DamagedRecord: A record does not read back as it was written.
        """
        for start in range(0, len(self.index), _IDS_AT_ONCE):
            positions = range(start, min(start + _IDS_AT_ONCE, len(self.index)))
            for data in self.read(self.places(positions)):
                yield data[7:46].decode()

    @property
    def next_number(self) -> int:
        """The number of the next record, those on their way counted."""
        return self.index.records + 1 + self.pending
