"""One damaged log made sound again: what cannot be kept is laid beside it, the rest is rewritten.

Nothing is deleted. What is laid aside is durable before the log is replaced, so a repair that dies
half-way is done again from the start, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from storage.draft import Draft
from storage.durable import Disk
from storage.gap import gap_path, read_gap
from storage.index import Index
from storage.record import encode
from storage.record_log import RecordLog
from storage.scan import Line
from storage.survey import Survey


class Deed(NamedTuple):
    """One thing that a repair did.

    Attributes:
        path: Of the file concerned, relative to the data directory.
        offset: Where in it, as it was before, in bytes.
        text: What was wrong and what was done.
    """

    path: str
    offset: int
    text: str


def keep_aside(disk: Disk, path: str, offset: int, data: bytes) -> str:
    """Write bytes of a file into one beside it, durably; return its path."""
    for kept in _names(path, offset):
        if not disk.exists(kept):
            disk.write_aside(kept, data)
            return kept
        if disk.read_file(kept) == data:
            return kept
    raise AssertionError


def move_aside(disk: Disk, path: str) -> str:
    """Give a file a name beside its own, durably; return that path."""
    kept = next(each for each in _names(path, 0) if not disk.exists(each))
    disk.replace(path, kept)
    disk.sync_directory(path.rpartition("/")[0])
    return kept


def salvage(
    disk: Disk, log: RecordLog, owner: str, org: str, found: Survey, added: dict[int, bytes]
) -> Iterator[Deed]:
    """Lay aside what a survey did not keep of a log, and write the rest as its next generation.

    Args:
        disk: Where it lies.
        log: Whose path and kinds count; its file may be missing.
        owner: The id that its header names.
        org: The organisation that it belongs to.
        found: What the log holds.
        added: Objects of records that it lacks, by key.

    Yields:
        What was done.
    """
    path = log.path
    for offset, data, fault in found.damaged:
        kept = keep_aside(disk, path, offset, data)
        text = f"{fault}: {len(data)} bytes are kept as {kept}"
        if b'"k":"%b"' % log.REMOVE.encode() in data:
            text += "; A DELETION STOOD THERE: unless it is named below, what it deleted is back"
        yield Deed(path, offset, text)
    gap = found.gap or read_gap(disk, path)
    if gap is not None:
        # Written into the header: no key of what is lost is given out again.
        found.last_key = max(found.last_key, gap.last_key)
        yield Deed(path, gap.offset, f"acknowledged lines that stood here ARE LOST: {gap.reason}")
    with ExitStack() as stack:
        source = stack.enter_context(disk.opened(path)) if disk.exists(path) else -1
        for key, (offset, length) in sorted(found.doubtful.items()):
            kept = keep_aside(disk, path, offset, disk.read(source, length, offset))
            what = f"message {key}" if log.BY_SEQUENCE else "a thread"
            text = f"{what} may have been deleted by a damaged line: it is kept as {kept}"
            yield Deed(path, offset, text)
        index = Index(last_key=found.last_key, last_ms=found.last_ms)
        draft = Draft(disk, log, found.generation + 1, index)
        draft.begin(owner, org, sealed=found.sealed)
        out = stack.enter_context(disk.opened(draft.path, create=True))
        for key in sorted({*found.live, *added}):
            if key in added:
                line, offset = encode(log.ADD, 0, added[key]), 0
            else:
                offset, length = found.live[key]
                line = disk.read(source, length, offset)
            draft.keep(log.ADD, key, line, offset)
            draft.flush(out)
        if not log.BY_SEQUENCE:
            for offset, length in found.tombstones.values():
                line = disk.read(source, length, offset)
                draft.keep_tombstone(Line(offset, line, log.REMOVE, 0, ""), org)
        draft.flush(out, 1)
    draft.take_name()
    disk.sync_directory(path.rpartition("/")[0])
    if gap is not None:
        disk.unlink(gap_path(path))
        disk.sync_directory(path.rpartition("/")[0])
    what = "messages" if log.BY_SEQUENCE else "threads"
    yield Deed(path, 0, f"written anew with all that is readable: {len(draft.index)} {what}")


def _names(path: str, offset: int) -> Iterator[str]:
    name = f"{path}.damaged-{offset}"
    yield name
    for count in range(1, 1 << 30):
        yield f"{name}-{count}"
