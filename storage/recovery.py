"""What the last run left in the journal is done again, so that the files hold all of it.

The journal is made durable first. Then each sound batch is done in order, also where its lines are
in their place already: only what is written now is sure to be synced. A batch that is not sound,
with nothing sound behind it, is the torn end of the last write. Doing all this twice, or dying
half-way, comes to the same. The cost is bounded by the journal's size, whatever the data's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from storage.durable import Disk, and_above
from storage.errors import DamagedRecord
from storage.gap import mark_gap
from storage.scan import generation_of, lines
from storage.segment import BATCHES_AT, Batch, Frame, Header, batches
from storage.segment_file import SEGMENTS, segment_header, segment_path, write_freed

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What a recovery did.

    Attributes:
        use: The highest use of a segment.
        number: The highest batch number.
        batches: Batches that were done again.
        files: Files that they named.
        removed: In a copy, deleted threads whose file was removed.
        faults: What could not be done, a line each; empty when all is well.
    """

    use: int = 0
    number: int = 0
    batches: int = 0
    files: int = 0
    removed: int = 0
    faults: list[str] = field(default_factory=list)


def recover(disk: Disk, *, is_copy: bool) -> Outcome:
    """Do the journal again and free its segments; blocks.

    Args:
        disk: The data directory, locked.
        is_copy: A file may then end before a frame's place: the copy began before that frame.

    Raises:
        OSError: The disk fails; nothing was given up.
    """
    outcome = Outcome()
    headers = {number: _header(disk, number, outcome) for number in range(SEGMENTS)}
    in_use = sorted(
        (header.use, number) for number, header in headers.items() if header and header.in_use
    )
    for number, header in headers.items():
        if header and not header.in_use:
            write_freed(disk, number, header)
    files: dict[str, list[Frame]] = {}
    for position, (use, number) in enumerate(in_use):
        data = disk.read_file(segment_path(number))
        following = in_use[position + 1] if position + 1 < len(in_use) else None
        successor = headers[following[1]] if following else None
        header = headers[number]
        assert header is not None
        through = successor.through if successor else None
        found = [each for each in batches(data, use) if through is None or each.number <= through]
        if not is_copy:  # The copying passed the segments at different times.
            _check_whole(header, found, through, segment_path(number), outcome)
        _confirm(disk, number, data[: found[-1].end if found else BATCHES_AT])
        for batch in found:
            outcome.batches += 1
            for frame in batch.frames:
                files.setdefault(frame.path, []).append(frame)
            outcome.number = max(outcome.number, batch.number)
        outcome.number = max(outcome.number, header.first - 1)
        outcome.use = max(outcome.use, use)
    folders = {path.rpartition("/")[0] for path in files}
    for folder in sorted(folders):
        disk.make_directory(folder)
    for path, frames in files.items():
        outcome.files += _redo(disk, path, frames, outcome, is_copy=is_copy)
    # Those above them too: the run that made them may have been killed before it came to that.
    for directory in sorted({each for folder in folders for each in and_above(folder)}):
        disk.sync_directory(directory)
    for fault in outcome.faults:
        log.error("recovery: %s", fault)
    if outcome.faults:
        _set_aside(disk, [number for _, number in in_use])
    for use, number in in_use:
        write_freed(disk, number, Header(use, False, 0, outcome.number))
    for header in headers.values():
        if header:
            outcome.use = max(outcome.use, header.use)
            outcome.number = max(outcome.number, header.through)
    return outcome


def _header(disk: Disk, number: int, outcome: Outcome) -> Header | None:
    try:
        return segment_header(disk, number)
    except FileNotFoundError:
        outcome.faults.append(f"{segment_path(number)}: the segment is missing")
    except DamagedRecord as error:
        outcome.faults.append(f"{segment_path(number)}:0: {error.reason}")
    return None


def _confirm(disk: Disk, number: int, data: bytes) -> None:
    """Make durable what a segment was found to hold, before anything is built on it.

    A process that was killed may have left it in the page cache alone, and a sync that failed in it
    may have left pages that only look clean: so the bytes are written again.
    """
    with disk.opened(segment_path(number)) as descriptor:
        disk.write(descriptor, data, 0)
        disk.sync(descriptor)


def _check_whole(
    header: Header, found: list[Batch], through: int | None, path: str, outcome: Outcome
) -> None:
    """Tell a torn end, which is as it should be, from a hole, which is damage."""
    expected = header.first
    for batch in found:
        if batch.number != expected:
            outcome.faults.append(
                f"{path}:{batch.offset}: batch {expected} is missing before batch {batch.number}"
            )
        expected = batch.number + 1
    if through is not None and expected <= through:
        outcome.faults.append(f"{path}: the batches {expected} to {through} are missing")


def _redo(disk: Disk, path: str, frames: list[Frame], outcome: Outcome, *, is_copy: bool) -> bool:
    """Put a file's frames in their places, in order; return whether the file holds them now."""
    new = not disk.exists(path)
    if new and frames[0].offset:
        _stop(disk, frames, "the file is missing", outcome, is_copy=is_copy)
        return False
    with disk.opened(path, create=new) as descriptor:
        # In a copy that passed before the file was made there are frames of later ones behind.
        generation = frames[0].generation if new else generation_of(disk, path, descriptor)
        size = disk.size(descriptor)
        end = 0
        frames = [each for each in frames if generation in (None, each.generation)]
        for place, frame in enumerate(frames):
            if size < frame.offset:
                reason = f"the file ends at {size}"
                _stop(disk, frames[place:], reason, outcome, is_copy=is_copy)
                break
            # Also where the same line can be read: a failed sync may have left it in memory only.
            disk.write(descriptor, frame.data, frame.offset)
            end = max(end, frame.offset + len(frame.data))
            size = max(size, end)
        if end:
            cut_torn_tail(disk, path, descriptor, end)
        disk.sync(descriptor)
    return True


def _stop(disk: Disk, frames: list[Frame], reason: str, outcome: Outcome, *, is_copy: bool) -> None:
    """Bytes that would stand behind a hole are not written: in a copy it began before them."""
    if not is_copy:
        frame = frames[0]
        mark_gap(disk, frame.path, frames, reason)
        outcome.faults.append(f"{frame.path}:{frame.offset}: {reason}")


def cut_torn_tail(disk: Disk, path: str, descriptor: int, offset: int) -> int | None:
    """Cut a log behind its last sound line at or after `offset`; keep what is cut beside it.

    Returns:
        Where it was cut, or None when nothing was torn.
    """
    size = disk.size(descriptor)
    torn = None
    for line in lines(disk, descriptor, offset, size):
        if not line.fault:
            torn = None
        elif torn is None:
            torn = line.offset
    if torn is None:
        return None
    kept = f"{path}.torn-{torn}"
    disk.write_aside(kept, disk.read(descriptor, size - torn, torn))
    disk.truncate(descriptor, torn)
    disk.sync(descriptor)
    log.warning("%s:%d: %d torn bytes were cut and kept as %s", path, torn, size - torn, kept)
    return torn


def cut_unfinished_line(disk: Disk, path: str) -> None:
    """Cut what stands behind the last newline of a log, where a copy stopped; it is kept beside.

    Raises:
        FileNotFoundError: There is no such log.
    """
    with disk.opened(path) as descriptor:
        size = place = disk.size(descriptor)
        while place > 0:
            start = max(0, place - 65536)
            newline = disk.read(descriptor, place - start, start).rfind(b"\n")
            place = start
            if newline >= 0:
                place += newline + 1
                break
        if place < size:
            cut_torn_tail(disk, path, descriptor, place)


def _set_aside(disk: Disk, numbers: list[int]) -> None:
    """Keep a copy of every segment that was in use when the journal proved damaged."""
    for number in numbers:
        kept = f"{segment_path(number)}.damaged"
        count = 0
        while disk.exists(kept):
            count += 1
            kept = f"{segment_path(number)}.damaged-{count}"
        disk.write_aside(kept, disk.read_file(segment_path(number)))
        log.error("the journal is damaged: %s keeps the segment for the record", kept)
