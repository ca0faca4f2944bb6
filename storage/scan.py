"""A log read from front to back: its sound lines and its damaged stretches, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from storage.append import LogHeader
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.record import (
    DATA_AT,
    HEADER,
    LINE_BYTES_MAX,
    SEQUENCE,
    RecordError,
    encode,
    parse,
    prefix,
    stated_length,
)
from storage.record_log import RecordLog

_STARTS = b'{"c":"'
_MARK_AT = len(_STARTS) + 8
_CHUNK_BYTES = 4 * 1024 * 1024
_SEARCHED_BYTES = 256 * 1024
"""Searched at a time: for so long, a tenth of a millisecond, no other thread runs."""
_HEADER_BYTES_MAX = 4096


class Line(NamedTuple):
    """A stretch of a log.

    Attributes:
        offset: Bytes from the start of the log.
        data: The line as it stands, newline included where it has one.
        kind: As in `record`; empty when it cannot be told.
        sequence: Of a sound line, or what a damaged one seems to say; -1 when it cannot be told.
        fault: Why the line is not sound; empty when it is.
    """

    offset: int
    data: bytes
    kind: str
    sequence: int
    fault: str

    @property
    def payload(self) -> bytes:
        """The object of a sound line, or what stands in its place."""
        return self.data[DATA_AT:-2]


def lines(disk: Disk, descriptor: int, offset: int, end: int) -> Iterator[Line]:
    """Yield what stands between two offsets of a log; memory is bounded by the longest line.

    What is longer than any line is yielded in pieces.
    """
    buffer = b""
    while True:
        place = 0
        while stop := buffer.find(b"\n", place) + 1:
            line = _line(buffer, place, stop, offset)
            yield line
            place += len(line.data)
        offset += place
        buffer = buffer[place:]
        if len(buffer) >= LINE_BYTES_MAX:
            line = _damaged(buffer, 0, offset, "the line is too long")
            yield line
            buffer, offset = buffer[len(line.data) :], offset + len(line.data)
        chunk = disk.read(
            descriptor, min(_CHUNK_BYTES, end - offset - len(buffer)), offset + len(buffer)
        )
        if not chunk:
            break
        buffer += chunk
    place = 0
    while place < len(buffer):
        line = _damaged(buffer, place, offset, "the line has no end")
        yield line
        place += len(line.data)


def sound_lines(disk: Disk, descriptor: int, kind: str, offset: int, end: int) -> Iterator[Line]:
    """Yield the sound lines of one kind between two offsets of a log, which has few of them.

    All others are passed over without a look at each: that is far quicker than `lines`, which
    would yield the same ones. Memory is bounded by the longest line.
    """
    # No text of a client's can look like this: there a quote has a backslash before it.
    mark = encode(kind, 0, b"{}")[_MARK_AT : SEQUENCE.start]
    buffer = b""
    while chunk := disk.read(descriptor, min(_SEARCHED_BYTES, end - offset), offset):
        offset += len(chunk)
        buffer += chunk
        base, place = offset - len(buffer), 0
        while (found := buffer.find(mark, place)) >= 0:
            start, stop = max(0, found - _MARK_AT), buffer.find(b"\n", found) + 1
            if not stop and len(buffer) - start < LINE_BYTES_MAX:
                break
            with suppress(RecordError):
                record = parse(buffer[start:stop])
                yield Line(base + start, buffer[start:stop], kind, record.sequence, "")
            place = found + len(mark)
        else:
            start = max(place, len(buffer) - _MARK_AT - len(mark) + 1)
        buffer = buffer[start:]


def _line(buffer: bytes, place: int, stop: int, base: int) -> Line:
    data = buffer[place:stop]
    try:
        record = parse(data)
    except RecordError as error:
        return _damaged(buffer, place, base, str(error), stop)
    return Line(base + place, data, record.kind, record.sequence, "")


def _damaged(buffer: bytes, place: int, base: int, fault: str, stop: int = 0) -> Line:
    """Tell how far a damaged line reaches: as far as it says, if that is borne out.

    Else to where the next one begins: a newline that stands in its midst is damage as well.

    Args:
        buffer: Bytes of a log; they may be many, and are not copied.
        place: Where the line begins in them.
        base: Where they begin in the log.
        fault: Why the line is not sound.
        stop: Behind its first newline in `buffer`; 0 when there is none.
    """
    kind, sequence, _ = prefix(buffer[place : place + DATA_AT])
    length = stated_length(buffer, place)
    said = place + length
    is_borne_out = said in (stop, len(buffer)) or buffer.startswith(_STARTS, said)
    end = said if length and is_borne_out else _next_start(buffer, stop)
    return Line(base + place, buffer[place:end], kind, sequence, fault)


def _next_start(buffer: bytes, stop: int) -> int:
    """Return where a line begins at or behind the newline that ends at `stop`, or the end."""
    if not stop or _STARTS.startswith(buffer[stop : stop + len(_STARTS)]):
        return stop or len(buffer)
    return buffer.find(b"\n" + _STARTS, stop) + 1 or len(buffer)


def misfit(log: type[RecordLog] | RecordLog, line: Line) -> str:
    """Say what a sound line has no business to say in such a log; empty if all is well."""
    if line.kind not in {log.ADD, log.REPLACE, log.REMOVE}:
        return f"a record of kind {line.kind} does not belong here"
    try:
        key, _ = log.key_of_id(line.payload), log.created_ms(line.payload)
    except ValueError:
        return "the object does not begin with its id"
    if key != log.key(line.sequence, line.payload):
        return "the sequence is not that of the object's id"
    return ""


def read_header(disk: Disk, path: str, descriptor: int) -> tuple[LogHeader, int]:
    """Read a log's first line; return it and its length in bytes.

    Raises:
        DamagedRecord: It is not as it was written.
    """
    start = disk.read(descriptor, _HEADER_BYTES_MAX, 0)
    line = start[: start.find(b"\n") + 1]
    try:
        record = parse(line)
        if record.kind != HEADER:
            raise RecordError("the file does not start with a header")
        return msgspec.json.decode(record.data, type=LogHeader), len(line)
    except (RecordError, msgspec.DecodeError) as error:
        raise DamagedRecord(f"the header is unreadable: {error}", path=path, offset=0) from error


def generation_of(disk: Disk, path: str, descriptor: int) -> int | None:
    """Tell a log's generation; None where its header did not reach the disk."""
    try:
        return read_header(disk, path, descriptor)[0].generation
    except DamagedRecord:
        return None
