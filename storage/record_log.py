"""One append-only JSONL file: what is appended at its known end, and records read back from it.

What it is a log of is for its kinds to say: see `kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from storage import run
from storage.append import Append, LogHeader
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.index import ENTRY_BYTES, Index
from storage.reader import Cut, Place, Reader
from storage.record import ADDS, HEADER, checksum, encode, payload
from storage.sidecar_file import NO_SIDECAR, Extent, Section, pack

_HEADER_BYTES = 512
_RESIDENT_BYTES = 1024


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

    __slots__ = (
        "_quiet",
        "_reader",
        "_waiting",
        "compacting",
        "dropped",
        "end",
        "gap",
        "generation",
        "held",
        "index",
        "last_line",
        "last_offset",
        "owed",
        "path",
        "pending",
        "pending_adds",
        "reading",
        "saving",
        "sealed",
        "sidecar",
        "torn",
        "unfit_end",
    )

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

    def section(self, behind: Extent = NO_SIDECAR) -> Section:
        """Return what a sidecar that has come so far lacks, as it is now."""
        return pack(
            self.index,
            generation=self.generation,
            covered=self.end,
            last_offset=self.last_offset,
            last_line=self.last_line,
            behind=behind,
        )

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
        if not positions:
            return []
        first, last = positions[0], positions[-1]
        found = run.find(self.index, min(first, last), max(first, last))
        if found is None:
            return None
        piece = self._reader.piece_now(self.path, found.start, found.end)
        objects = None if piece is None else found.objects(piece)
        return objects[::-1] if objects and first > last else objects

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
