"""A gap: acknowledged lines that stood behind the end of a log, and are lost.

A recovery finds one that could not put a frame in its place, as the lines before are gone, and says
so in a file beside the log. A sidecar shows one that knows of more bytes than the log has, for it
is written when all of them are in the log or the journal, and never before a start is over. Either
way the log takes no writes until it is repaired: what was lost had keys, and they must not be
given to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from storage.durable import Disk
from storage.kinds import CatalogLog, ThreadLog
from storage.record import ADDS, RecordError, parse
from storage.segment import Frame
from storage.sidecar_file import Sidecar


class Gap(msgspec.Struct, frozen=True):
    """What is known of the lines that are lost.

    Attributes:
        offset: Where they would have stood, in bytes.
        reason: Why they could not be put there.
        last_key: The highest key among them.
    """

    offset: int = 0
    reason: str = "it cannot be told how far the file had come"
    last_key: int = 0


def gap_path(path: str) -> str:
    """Return where the gap of a log is said."""
    return f"{path}.gap"


def read_gap(disk: Disk, path: str) -> Gap | None:
    """Return the gap of a log, or None if it has none; blocks.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return msgspec.json.decode(disk.read_file(gap_path(path)), type=Gap)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return Gap()


def find_gap(disk: Disk, path: str, sidecar: Sidecar | None, size: int) -> Gap | None:
    """Return the gap of a log, whoever knows of it, or None; blocks.

    Args:
        disk: Where it lies.
        path: Of the log.
        sidecar: That of this generation of the log, read before its size was.
        size: Of the log, in bytes.

    Raises:
        OSError: It cannot be read.
    """
    gap = read_gap(disk, path)
    if gap is None and sidecar is not None and sidecar.covered > size:
        reason = f"its index tells of {sidecar.covered} bytes, and the file ends at {size}"
        return Gap(size, reason, sidecar.index.last_key)
    return gap


def mark_gap(disk: Disk, path: str, frames: Sequence[Frame], reason: str) -> None:
    """Say durably that the lines of some frames are not in their log.

    Raises:
        OSError: The disk fails.
    """
    known = read_gap(disk, path)
    kind = ThreadLog if "/threads/" in path else CatalogLog
    last_key = known.last_key if known else 0
    for frame in frames:
        for line in frame.data.splitlines(keepends=True):
            with suppress(RecordError, ValueError):
                record = parse(line)
                if record.kind in ADDS:
                    last_key = max(last_key, kind.key(record.sequence, record.data))
    first = known or Gap(frames[0].offset, reason)
    gap = msgspec.structs.replace(first, last_key=last_key)
    disk.write_aside(gap_path(path), msgspec.json.encode(gap))
