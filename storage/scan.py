"""A log read from front to back: its sound lines, its damaged stretches, and the index they make.

A damaged line never hides its neighbours. As much as its prefix and its object's id still tell, it
stands in the index under its own key, so that reading it is an error that names it; what is sound
is served.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from storage.append import LogHeader
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.index import Index, unpack
from storage.record import (
    ADDS,
    DATA_AT,
    HEADER,
    REMOVES,
    REPLACES,
    RecordError,
    checksum,
    parse,
    prefix,
)
from storage.record_log import RecordLog

log = logging.getLogger(__name__)

_STARTS = b'{"c":"'
_CHUNK_BYTES = 4 * 1024 * 1024
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
    """Yield what stands between two offsets of a log; memory is bounded by the longest line."""
    buffer = b""
    while True:
        place = 0
        while True:
            stop = buffer.find(b"\n", place) + 1
            if not stop:
                break
            line = _line(buffer, place, stop, offset)
            if line is None:
                break
            yield line
            place += len(line.data)
        offset += place
        buffer = buffer[place:]
        chunk = disk.read(
            descriptor, min(_CHUNK_BYTES, end - offset - len(buffer)), offset + len(buffer)
        )
        if not chunk:
            break
        buffer += chunk
    while buffer:
        line = _damaged(buffer, offset, "the line has no end")
        yield line
        buffer, offset = buffer[len(line.data) :], offset + len(line.data)


def _line(buffer: bytes, place: int, stop: int, base: int) -> Line | None:
    data = buffer[place:stop]
    try:
        record = parse(data)
    except RecordError as error:
        return _damaged(buffer[place:], base + place, str(error), stop - place)
    return Line(base + place, data, record.kind, record.sequence, "")


def _damaged(rest: bytes, offset: int, fault: str, stop: int = 0) -> Line:
    """Tell how far a damaged line reaches: as far as it says, if that is borne out.

    Else to where the next one begins: a newline that stands in its midst is damage as well.
    """
    kind, sequence, length = "", -1, _next_start(rest, stop)
    try:
        kind, sequence, data_length = prefix(rest[:DATA_AT])
    except (RecordError, IndexError):
        pass
    else:
        said = DATA_AT + data_length + 2
        if said in (stop, len(rest)) or rest[said : said + len(_STARTS)] == _STARTS:
            length = said
    return Line(offset, rest[:length], kind, sequence, fault)


def _next_start(rest: bytes, stop: int) -> int:
    """Return where a line begins at or behind the newline that ends at `stop`, or the end."""
    if not stop or _STARTS.startswith(rest[stop : stop + len(_STARTS)]):
        return stop or len(rest)
    return rest.find(b"\n" + _STARTS, stop) + 1 or len(rest)


def misfit(log: type[RecordLog] | RecordLog, line: Line) -> str:
    """Say what a sound line has no business to say in such a log; empty if all is well."""
    if line.kind not in {log.ADD, log.REPLACE, log.REMOVE}:
        return f"a record of kind {line.kind} does not belong here"
    try:
        key = log.key_of_id(line.payload)
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


def load(record_log: RecordLog, disk: Disk, *, owner: str) -> None:
    """Fill a log's index from its sidecar and from what the log has behind it; blocks.

    Args:
        record_log: Empty as yet.
        disk: Where it lies.
        owner: The id that its header must name.

    Raises:
        DamagedRecord: The file is missing, its header unreadable, or it is another's.
        OSError: It cannot be read.
    """
    path = record_log.path
    try:
        with disk.opened(path) as descriptor:
            header, length = read_header(disk, path, descriptor)
            if header.id != owner:
                raise DamagedRecord(f"the file is that of {header.id}", path=path, offset=0)
            size = disk.size(descriptor)
            record_log.generation = header.generation
            if not load_sidecar(record_log, disk, descriptor, size):
                record_log.index = Index(last_key=header.last_key, last_ms=header.last_ms)
                record_log.end = length
            _take_in(record_log, lines(disk, descriptor, record_log.end, size))
    except FileNotFoundError:
        raise DamagedRecord("the file is missing", path=path, offset=None) from None


def load_sidecar(record_log: RecordLog, disk: Disk, descriptor: int, size: int) -> bool:
    """Take a log's index from its sidecar, if there is one that fits; tell whether it did."""
    try:
        sidecar = unpack(disk.read_file(record_log.sidecar_path))
    except OSError:
        return False
    if sidecar is None or sidecar.generation != record_log.generation or sidecar.covered > size:
        log.warning("%s does not fit its log and is made anew", record_log.sidecar_path)
        return False
    offset = sidecar.last_offset
    line = disk.read(descriptor, sidecar.covered - offset, offset)
    if checksum(line) != sidecar.last_line or line[-1:] != b"\n":
        log.warning("%s does not fit its log and is made anew", record_log.sidecar_path)
        return False
    record_log.index = sidecar.index
    record_log.end = sidecar.covered
    record_log.last_line = sidecar.last_line
    record_log.last_offset = offset
    record_log.sidecar_records = sidecar.index.records
    return True


def _take_in(record_log: RecordLog, found: Iterator[Line]) -> None:
    index = record_log.index
    newest = index.keys[-1] if index.keys else 0
    damaged: list[Line] = []
    for line in found:
        record_log.end = line.offset + len(line.data)
        record_log.last_line = checksum(line.data)
        record_log.last_offset = line.offset
        if line.fault:
            log.error("%s:%d: %s", record_log.path, line.offset, line.fault)
            damaged.append(line)
            continue
        key = record_log.key(line.sequence, line.payload)
        if line.kind in ADDS:
            _attribute(record_log, damaged, newest, below=key)
            damaged = []
            newest = key
        index.apply(line.kind, key, line.offset, len(line.data))
        if line.kind in ADDS:
            index.last_ms = max(index.last_ms, record_log.created_ms(line.payload))
    record_log.torn = bool(damaged) and not damaged[-1].data.endswith(b"\n")
    _attribute(record_log, damaged, newest, below=None)


def _attribute(record_log: RecordLog, damaged: list[Line], newest: int, below: int | None) -> None:
    """Enter damaged lines under the keys that they seem to be about, so that reading them fails.

    Args:
        record_log: Where they stand.
        damaged: In order.
        newest: The last key that was added before them.
        below: The first that is added behind them; None at the end.
    """
    index = record_log.index
    for line in damaged:
        keys = keys_about(record_log, line, newest)
        known = [key for key in keys if index.find(key) is not None]
        fresh = [key for key in keys if key > newest and (below is None or key < below)]
        if line.kind in REPLACES or line.kind in REMOVES or (known and not fresh):
            for key in known:
                index.apply(record_log.REPLACE, key, line.offset, len(line.data))
        elif fresh:
            newest = min(fresh)
            index.apply(record_log.ADD, newest, line.offset, len(line.data))
        else:
            index.records += 1


def keys_about(record_log: RecordLog, line: Line, newest: int) -> set[int]:
    """Every key that a damaged line may be about: by its object's id, by its `s`, by its place."""
    found = set()
    with suppress(ValueError):
        found.add(record_log.key_of_id(line.payload))
    if not record_log.BY_SEQUENCE or line.sequence in found:
        return found
    if line.sequence > 0:
        found.add(line.sequence)
    if line.kind in ADDS or not line.kind:
        found.add(newest + 1)
    return found
