"""How a log's index is made: from its sidecar, and from the lines behind what that covers.

A damaged line never hides its neighbours. As much as its prefix and its object's id still tell, it
stands in the index under its own key, so that reading it is an error that names it; what is sound
is served.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.gap import read_gap
from storage.index import Index, unpack
from storage.record import ADDS, KIND_AT, REMOVES, REPLACES, RecordError, checksum, parse
from storage.record_log import RecordLog
from storage.scan import Line, lines, misfit, read_header

log = logging.getLogger(__name__)

_DIGITS = 16
_KEY = slice(14, 14 + _DIGITS)
"""Where the object of a thread has the hex digits of its key."""


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
            record_log.sealed = header.sealed is True
            if not load_sidecar(record_log, disk, descriptor, size):
                record_log.index = Index(last_key=header.last_key, last_ms=header.last_ms)
                record_log.end = length
            _take_in(record_log, lines(disk, descriptor, record_log.end, size))
        gap = read_gap(disk, path)
        if gap is not None:
            log.error("%s:%d: acknowledged lines are lost: %s", path, gap.offset, gap.reason)
            record_log.gap = True
            record_log.index.last_key = max(record_log.index.last_key, gap.last_key)
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
    count = 0
    first: tuple[int, str] | None = None
    for line in found:
        record_log.end = line.offset + len(line.data)
        record_log.last_line = checksum(line.data)
        record_log.last_offset = line.offset
        fault = line.fault or misfit(record_log, line)
        if fault:
            first = first or (line.offset, fault)
            count += 1
            damaged.append(_as_entry(record_log, line))
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
    if first:
        log.error("%s:%d: %s (damaged stretches: %d)", record_log.path, *first, count)


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
        if not line.fault and line.kind not in {
            record_log.ADD,
            record_log.REPLACE,
            record_log.REMOVE,
        }:
            index.records += 1  # It is as it was written: no record of this log was ever there.
            continue
        # A misfit's checksum is right: so that reading it fails as well, it is read too short.
        length = len(line.data) - (not line.fault)
        keys = keys_about(record_log, line, newest, index.holds)
        known = [key for key in keys if index.holds(key)]
        fresh = [key for key in keys if key > newest and (below is None or key < below)]
        changes = line.kind in REPLACES or line.kind in REMOVES
        if known and (changes or not fresh):
            for key in known:
                index.apply(record_log.REPLACE, key, line.offset, length)
        elif fresh and (not changes or not (record_log.BY_SEQUENCE or line.kind in REMOVES)):
            # In a catalogue the kind may be damaged too.
            newest = min(fresh)
            index.apply(record_log.ADD, newest, line.offset, length)
        else:
            index.records += 1


def _as_entry(record_log: RecordLog, line: Line) -> Line:
    """Give a line of a catalogue its kind back, if that is proved to be all that was hit.

    The kinds of a new thread and of its versions differ in one bit.
    """
    if record_log.BY_SEQUENCE or line.kind not in REPLACES:
        return line
    data, kind = line.data, record_log.ADD
    try:
        parse(data[:KIND_AT] + kind.encode() + data[KIND_AT + 1 :])
    except RecordError:
        return line
    return line._replace(kind=kind)


def keys_about(
    record_log: RecordLog, line: Line, newest: int, is_live: Callable[[int], bool]
) -> set[int]:
    """Every key that a damaged line may be about: by its object's id, by its `s`, by its place."""
    found = set()
    with suppress(ValueError):
        found.add(record_log.key_of_id(line.payload))
    if not record_log.BY_SEQUENCE:
        if (line.kind in REPLACES or line.kind in REMOVES) and not any(map(is_live, found)):
            found |= _one_digit_off(line, is_live)
        return found
    if line.sequence in found:
        return found
    if line.sequence > 0:
        found.add(line.sequence)
    if line.kind in ADDS or not line.kind:
        found.add(newest + 1)
    return found


def _one_digit_off(line: Line, is_live: Callable[[int], bool]) -> set[int]:
    """Return the live thread that differs in one hex digit from what a line says, if it is one."""
    found: set[int] = set()
    digits = line.payload[_KEY]
    if not line.payload.startswith(b'{"id":"thread-') or len(digits) < _DIGITS:
        return found
    for place in range(_DIGITS):
        with suppress(ValueError):
            rest = int(digits[:place] + b"0" + digits[place + 1 :], 16)
            step = 1 << 4 * (_DIGITS - 1 - place)
            found |= {key for key in range(rest, rest + 16 * step, step) if is_live(key)}
    return found if len(found) == 1 else set()
