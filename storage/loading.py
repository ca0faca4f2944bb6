"""How a log's index is made: from its sidecar, and from the lines behind what that covers.

A damaged line never hides its neighbours. As much as can be told of it, it stands in the index
under its own key, so that reading it is an error that names it; what is sound is served. The same
goes for what is known to be lost behind the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache, partial

from storage.attribution import LINE_BYTES_MIN, keys_about, with_its_kind
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.gap import Gap, find_gap
from storage.index import Index
from storage.record import ADDS, REMOVES, REPLACES, RecordError, checksum, parse
from storage.record_log import RecordLog
from storage.scan import Line, lines, misfit, read_header
from storage.sidecar_file import Head, Sidecar, heads, unpack
from storage.strays import stray_keys

log = logging.getLogger(__name__)

LOST_MAX = 1_000_000
"""So many records that are lost behind the end of a log are named one by one."""

Strays = Callable[[], Collection[int]]


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
            record_log.generation = header.generation
            record_log.sealed = header.sealed is True
            sidecar = own_sidecar(record_log, disk, descriptor, header.generation)
            size = disk.size(descriptor)
            if sidecar is None:
                if disk.exists(record_log.sidecar_path):
                    log.warning("%s does not fit its log: made anew", record_log.sidecar_path)
                record_log.index = Index(last_key=header.last_key, last_ms=header.last_ms)
                record_log.end = length
            else:
                _take(record_log, sidecar)
            strays = cache(
                lambda: [] if record_log.BY_SEQUENCE else stray_keys(disk, path, descriptor)
            )
            _take_in(record_log, lines(disk, descriptor, record_log.end, size), strays)
            gap = find_gap(disk, path, sidecar, size)
            if gap is not None:
                _lose(record_log, gap, size, strays)
    except FileNotFoundError:
        raise DamagedRecord("the file is missing", path=path, offset=None) from None


def own_sidecar(
    record_log: RecordLog, disk: Disk, descriptor: int, generation: int
) -> Sidecar | None:
    """Return a log's sidecar, if there is one and it was written for this generation of the log.

    Its last line has to stand where it says; or where the log does not reach that far any more, the
    last record of those that are left.
    """
    sidecar = read_sidecar(record_log, disk)
    fits = sidecar is not None and _fits(sidecar, record_log, disk, descriptor, generation)
    return sidecar if fits else None


def read_sidecar(record_log: RecordLog, disk: Disk) -> Sidecar | None:
    """Return a log's sidecar, if there is one that is sound in itself."""
    with suppress(OSError), disk.opened(record_log.sidecar_path) as descriptor:
        return unpack(partial(disk.read, descriptor))
    return None


def adds_alone_until(record_log: RecordLog, disk: Disk, descriptor: int, generation: int) -> int:
    """Return up to where each line of a log is known to have added a record, in bytes.

    It is what the heads in its sidecar tell; the index is not read. 0 when nothing is known.
    """
    last: Head | None = None
    with suppress(OSError), disk.opened(record_log.sidecar_path) as file:
        for head, _ in heads(partial(disk.read, file)):
            last = head
    # A line that adds nothing is a line and no entry.
    if last is None or last.generation != generation or last.records != last.entries:
        return 0
    return last.covered if _stands(last, disk, descriptor) else 0


def _fits(
    sidecar: Sidecar, record_log: RecordLog, disk: Disk, descriptor: int, generation: int
) -> bool:
    if sidecar.generation != generation:
        return False
    size = disk.size(descriptor)
    if sidecar.covered <= size:
        return _stands(sidecar, disk, descriptor)
    index = sidecar.index
    places = zip(index.offsets, index.lengths, index.keys, strict=True)
    left = max((each for each in places if each[0] + each[1] <= size), default=None)
    if left is None:
        return True
    try:
        record = parse(disk.read(descriptor, left[1], left[0]))
        return record_log.key(record.sequence, record.data) == left[2]
    except (RecordError, ValueError):
        return False


def _stands(said: Sidecar | Head, disk: Disk, descriptor: int) -> bool:
    """Tell whether the last covered line is where it is said to be."""
    line = disk.read(descriptor, said.covered - said.last_offset, said.last_offset)
    return checksum(line) == said.last_line and line.endswith(b"\n")


def _take(record_log: RecordLog, sidecar: Sidecar) -> None:
    record_log.index = sidecar.index
    record_log.end = sidecar.covered
    record_log.last_line = sidecar.last_line
    record_log.last_offset = sidecar.last_offset
    record_log.sidecar = sidecar.extent


def _lose(record_log: RecordLog, gap: Gap, size: int, strays: Strays) -> None:
    """Let reading what is lost behind the end be an error."""
    log.error("%s:%d: acknowledged lines are lost: %s", record_log.path, gap.offset, gap.reason)
    index = record_log.index
    record_log.gap = True
    record_log.end = min(record_log.end, size)
    lost: Collection[int] = range(index.last_key + 1, gap.last_key + 1)[-LOST_MAX:]
    if not record_log.BY_SEQUENCE:
        lost = [key for key in strays() if key > index.last_key]
    for key in lost:
        index.apply(record_log.ADD, key, gap.offset, 1)
    index.last_key = max(index.last_key, gap.last_key)


def _take_in(record_log: RecordLog, found: Iterator[Line], strays: Strays) -> None:
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
        index.lengthen(line.data, is_sound=not fault)
        if fault:
            first = first or (line.offset, fault)
            count += 1
            damaged.append(with_its_kind(record_log, line))
            continue
        key = record_log.key(line.sequence, line.payload)
        if line.kind in ADDS:
            _attribute(record_log, damaged, newest, key, strays)
            damaged = []
            newest = key
        index.apply(line.kind, key, line.offset, len(line.data))
        if line.kind in ADDS:
            index.last_ms = max(index.last_ms, record_log.created_ms(line.payload))
    record_log.torn = bool(damaged) and not damaged[-1].data.endswith(b"\n")
    _attribute(record_log, damaged, newest, None, strays)
    if first:
        log.error("%s:%d: %s (damaged stretches: %d)", record_log.path, *first, count)


def _attribute(
    record_log: RecordLog, damaged: list[Line], newest: int, below: int | None, strays: Strays
) -> None:
    """Enter damaged lines under the keys that they seem to be about, so that reading them fails.

    Args:
        record_log: Where they stand.
        damaged: In order.
        newest: The last key that was added before them.
        below: The first that is added behind them; None at the end.
        strays: As `keys_about` asks for them.
    """
    index, kinds = record_log.index, {record_log.ADD, record_log.REPLACE, record_log.REMOVE}
    highest = newest
    for line in damaged:
        highest += max(1, len(line.data) // LINE_BYTES_MIN)
        if not line.fault and line.kind not in kinds:
            index.records += 1  # It is as it was written: no record of this log was ever there.
            continue
        # A misfit's checksum is right: so that reading it fails as well, it is read too short.
        length = len(line.data) - (not line.fault)
        keys = keys_about(record_log, line, newest, index.holds, strays, highest)
        known = {key for key in keys if index.holds(key)}
        fresh = {key for key in keys if key > newest and (below is None or key < below)} - known
        if line.kind in REPLACES or line.kind in REMOVES:
            # A version of what is not there is the record itself; of a message that tells nothing.
            fresh = set() if record_log.BY_SEQUENCE or line.kind in REMOVES else fresh
        elif fresh and line.kind:
            known = set()
        for key in known:
            index.apply(record_log.REPLACE, key, line.offset, length)
        # One line adds one message, but which of several threads it added cannot be told.
        for key in sorted(fresh)[: 1 if record_log.BY_SEQUENCE else None]:
            index.apply(record_log.ADD, key, line.offset, length)
            newest = key
        if not known and not fresh:
            index.records += 1
