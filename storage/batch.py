"""What the next batch is made of: the oldest units, and a frame for each file that they touch."""

from __future__ import annotations

from collections.abc import Iterable

from storage.append import Unit
from storage.record_log import RecordLog
from storage.segment import ALIGNMENT, Frame

BATCH_BYTES_MAX = 8 * 1024 * 1024
BATCH_LINES_MAX = 1000
_FRAME_BYTES = 160
"""What a line in a file of its own adds to a batch, in bytes, besides itself."""


def next_batch(queue: Iterable[Unit], bytes_max: int) -> tuple[list[Unit], list[Frame]]:
    """Choose the units that go to the disk together, and say where each of their lines will stand.

    Args:
        queue: Oldest first; what is chosen stays in it.
        bytes_max: That the journal takes at once. One unit is always chosen, if there is any.
    """
    units: list[Unit] = []
    lines: dict[RecordLog, list[bytes]] = {}
    ends: dict[RecordLog, int] = {}
    size, count = 2 * ALIGNMENT, 0  # A batch has a head, and ends at a multiple.
    size_max = min(BATCH_BYTES_MAX, bytes_max)
    for unit in queue:
        count += len(unit.appends)
        size += unit.size + _FRAME_BYTES * len(unit.appends)
        if units and (size > size_max or count > BATCH_LINES_MAX):
            break
        units.append(unit)
        for append in unit.appends:
            target = append.log
            append.offset = ends.setdefault(target, target.end)
            ends[target] += len(append.line)
            lines.setdefault(target, []).append(append.line)
    return units, [
        Frame(target.path, target.generation, target.end, b"".join(its))
        for target, its in lines.items()
    ]
