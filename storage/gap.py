"""A gap: acknowledged lines that a recovery could not put in their place, as those before are gone.

It is said in a file beside the log, so that the log takes no writes until it is repaired: what was
lost had keys, and they must not be given to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from storage.durable import Disk
from storage.record import ADDS, RecordError, parse
from storage.record_log import CatalogLog, ThreadLog
from storage.segment import Frame


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
