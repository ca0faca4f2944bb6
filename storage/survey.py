"""What can be kept of a log that is damaged: read from front to back, decided line by line.

What is sound and live is kept. A damaged line that may have been a deletion puts what it may have
deleted in doubt, and what is in doubt is not kept: a deleted record must not come back. Only what
nobody can know is lost, such as which record a deletion was about of which not even that is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from storage.append import LogHeader
from storage.attribution import LINE_BYTES_MIN, keys_about
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.gap import Gap, find_gap, read_gap
from storage.loading import own_sidecar, read_sidecar
from storage.record import ADDS, REMOVES, REPLACES, halves, stated_length
from storage.record_log import RecordLog
from storage.scan import Line, lines, misfit, read_header

_TOMBSTONE_LINE_BYTES_MAX = 200
"""A tombstone is an id and a time; what is known to be longer was none."""

_TOMBSTONE = re.compile(rb'\{"id":"(msg|thread)-[0-9a-f]{32}","deleted_at"')


class Stretch(NamedTuple):
    """Bytes of a log that are not kept where they are.

    Attributes:
        offset: From the start of the log.
        data: As they stand there.
        fault: Why they are not kept.
    """

    offset: int
    data: bytes
    fault: str


class Place(NamedTuple):
    """Where a line stands, in bytes."""

    offset: int
    length: int


@dataclass(slots=True)
class Survey:
    """What a log holds.

    Attributes:
        header: Its first line; None when that is unreadable.
        foreign: The file is another log's, as its header says.
        sealed: What it holds is sealed, as its header or one of its messages says.
        gap: What is known of lines that stood behind its end and are lost.
        live: The newest sound version of each record, by key.
        tombstones: Sound ones, by the key of what they removed.
        doubtful: Sound versions of what a damaged line may have removed.
        damaged: Stretches that are not as they were written, neighbours joined.
        last_key: The highest key that was given out, as far as can be told; never too low.
        last_ms: The creation time of the newest record, as far as can be told, Unix milliseconds.
        generation: Of the file, as far as can be told.
    """

    header: LogHeader | None = None
    foreign: bool = False
    sealed: bool = False
    gap: Gap | None = None
    live: dict[int, Place] = field(default_factory=dict)
    tombstones: dict[int, Place] = field(default_factory=dict)
    doubtful: dict[int, Place] = field(default_factory=dict)
    damaged: list[Stretch] = field(default_factory=list)
    last_key: int = 0
    last_ms: int = 0
    generation: int = 1

    @property
    def is_sound(self) -> bool:
        """Tell whether the log is as it was written."""
        return not (self.header is None or self.foreign or self.gap or self.damaged)


def survey(log: RecordLog, disk: Disk, owner: str) -> Survey:
    """Read a whole log; blocks.

    Args:
        log: Whose path and kinds count; it is not filled.
        disk: Where it lies.
        owner: The id that its header must name.

    Raises:
        OSError: It cannot be read.
    """
    found = Survey(gap=read_gap(disk, log.path))
    with disk.opened(log.path) as descriptor:
        start = 0
        try:
            found.header, start = read_header(disk, log.path, descriptor)
        except DamagedRecord:
            pass
        else:
            found.foreign = found.header.id != owner
            found.sealed = found.header.sealed is True
            found.generation = found.header.generation
            found.last_key, found.last_ms = found.header.last_key, found.header.last_ms
            sidecar = own_sidecar(log, disk, descriptor, found.generation)
            found.gap = find_gap(disk, log.path, sidecar, disk.size(descriptor))
        reader = _Reader(log, found)
        for line in lines(disk, descriptor, start, disk.size(descriptor)):
            reader.take(line)
        reader.end()
    _ask_sidecar(log, disk, found)
    return found


class _Reader:
    """Takes in a log's lines one after the other."""

    def __init__(self, log: RecordLog, found: Survey) -> None:
        self._log = log
        self._found = found
        self._newest = 0
        self._ceiling = 0

    def take(self, line: Line) -> None:
        fault = line.fault or misfit(self._log, line)
        if not fault and line.kind in ADDS and self._key(line) <= self._newest:
            fault = "the record is not in the order in which it was written"
        if fault:
            self._set_aside(line, fault)
        else:
            self._enter(line)

    def end(self) -> None:
        """Give out no key again that a damaged line may have had."""
        found = self._found
        found.last_key = max(found.last_key, self._newest, self._ceiling)

    def _key(self, line: Line) -> int:
        return self._log.key(line.sequence, line.payload)

    def _enter(self, line: Line) -> None:
        found, key = self._found, self._key(line)
        found.doubtful.pop(key, None)
        if line.kind in REMOVES:
            found.live.pop(key, None)
            found.tombstones[key] = Place(line.offset, len(line.data))
        elif key not in found.tombstones:
            # A version whose first line is lost is the record all the same.
            found.live[key] = Place(line.offset, len(line.data))
            found.last_ms = max(found.last_ms, self._log.created_ms(line.payload))
            found.sealed |= self._log.BY_SEQUENCE and bool(halves(line.data)[1])
        self._newest = max(self._newest, key)

    def _set_aside(self, line: Line, fault: str) -> None:
        found = self._found
        last = found.damaged[-1] if found.damaged else None
        if last is not None and last.offset + len(last.data) == line.offset:
            found.damaged[-1] = last._replace(data=last.data + line.data)
        else:
            found.damaged.append(Stretch(line.offset, line.data, fault))
        if found.header is None and line.offset == 0:
            return
        if _may_remove(line):
            keys = keys_about(self._log, line, self._newest, found.live.__contains__)
            for key in keys | self._named(line):
                if key in found.live:
                    found.doubtful[key] = found.live.pop(key)
        if self._log.BY_SEQUENCE:
            self._ceiling = max(self._ceiling, self._newest) + _adds_max(line)

    def _named(self, line: Line) -> set[int]:
        """Return the keys that what is left of tombstones names, wherever that stands."""
        data, log = line.data, self._log
        keys = {log.key_of_id(data[place.start() :]) for place in _TOMBSTONE.finditer(data)}
        if log.BY_SEQUENCE:
            mark = b'"k":"%b","s":"([0-9]{10})"' % log.REMOVE.encode()
            keys |= {int(sequence) for sequence in re.findall(mark, data)}
        return keys


def _may_remove(line: Line) -> bool:
    """Tell whether a damaged line was a tombstone, for all that is known."""
    return (
        len(line.data) != stated_length(line.data, 0) or len(line.data) <= _TOMBSTONE_LINE_BYTES_MAX
    )


def _adds_max(line: Line) -> int:
    """Tell how many records a damaged line may have added."""
    if len(line.data) <= stated_length(line.data, 0):
        return 0 if line.kind in REPLACES or line.kind in REMOVES else 1
    return max(1, len(line.data) // LINE_BYTES_MIN)


def _ask_sidecar(log: RecordLog, disk: Disk, found: Survey) -> None:
    """A sidecar that is sound in itself was written for this log: it knows how far it had come."""
    sidecar = read_sidecar(log, disk)
    if sidecar is not None:
        found.last_key = max(found.last_key, sidecar.index.last_key)
        found.last_ms = max(found.last_ms, sidecar.index.last_ms)
        found.generation = max(found.generation, sidecar.generation)
