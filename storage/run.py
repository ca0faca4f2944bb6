"""A run: records whose lines stand in the log one behind the other, in the order of their keys.

Most pages are one. The first line proves itself by its own checksum, all others together by the
chain, and one split cuts them apart: a page costs a handful of steps, however many objects it has.
Whatever does not prove sound here is for the reader to look at line by line, and to name.
"""

from __future__ import annotations

from storage.checksum import crc32
from storage.index import Index
from storage.record import DATA_AT, RecordError, payload

_BRACE = ord("}")


def bounds(index: Index, positions: range) -> tuple[int, int] | None:
    """Return where the run at some positions begins and ends in its log; None if it is no run."""
    if not positions:
        return None
    low, high = sorted((positions[0], positions[-1]))
    offsets = index.offsets[low : high + 1].tolist()
    start, end = offsets[0], offsets[-1] + index.lengths[high]
    # Lines never overlap: if they rise and are as long as what they span, nothing lies between.
    if end - start != sum(index.lengths[low : high + 1]) or offsets != sorted(offsets):
        return None
    return start, end


def objects(index: Index, positions: range, piece: bytes) -> list[bytes] | None:
    """Return the objects of a run in the order of their positions.

    Args:
        index: Where it stands.
        positions: Of its records, one or more, rising or falling by one.
        piece: The bytes between its bounds.

    Returns:
        None when anything in it is not as it was written, or is sealed.
    """
    low, high = sorted((positions[0], positions[-1]))
    first = index.lengths[low]
    try:
        payload(piece, 0, first)
    except RecordError:
        return None
    if crc32(memoryview(piece)[first:], index.chains[low]) != index.chains[high]:
        return None
    lines = piece.split(b"\n")  # No object holds a newline.
    lines.pop()
    # A line with nothing behind its object ends with two braces: nothing else that stands there is
    # an object, and what is sealed ends with a quotation mark.
    found = [line[DATA_AT:-1] for line in lines if line[-2] == _BRACE]
    if len(found) != len(positions):
        return None
    return found if positions.step > 0 else found[::-1]
