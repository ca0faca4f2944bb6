"""A run: records whose lines stand in the log one behind the other, in the order of their keys.

Most pages are one. The chain proves all its lines together, and each object is a slice: a page
costs a handful of steps. Whatever does not prove sound here is for the reader to look at line by
line, and to name.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from storage.checksum import crc32
from storage.index import Index
from storage.record import DATA_AT

_BRACE = ord("}")
_BEHIND = 2
"""Bytes of a line behind its object, where nothing but the object is in it: a brace, a newline."""


class Run(NamedTuple):
    """Where a run stands in its log, and how it proves.

    Attributes:
        start: Bytes from the start of the log.
        end: Behind its last line, likewise.
        lengths: Of its lines, newline included.
        before: The chain at `start`.
        after: That at `end`.
    """

    start: int
    end: int
    lengths: array[int]
    before: int
    after: int

    def objects(self, piece: bytes) -> list[bytes] | None:
        """Return its objects, in the order of their keys.

        Args:
            piece: What stands in the log between `start` and `end`.

        Returns:
            None when anything in it is not as it was written, or is sealed.
        """
        if len(piece) != self.end - self.start or crc32(piece, self.before) != self.after:
            return None
        # A line with nothing behind its object ends with two braces: nothing else that stands there
        # is an object, and what is sealed ends with a quotation mark.
        end = -_BEHIND
        found = [
            piece[end + _BEHIND + DATA_AT : (end := end + length)]
            for length in self.lengths
            if piece[end + length - 1] == _BRACE
        ]
        return found if len(found) == len(self.lengths) else None


def find(index: Index, low: int, high: int) -> Run | None:
    """Return the run of the entries at the positions from `low` to `high`.

    Returns:
        None if it is none, and where the line in front of it is not that of the entry before: what
        the chain is there is not known.
    """
    lengths = index.lengths[low : high + 1]
    start, end = index.offsets[low], index.offsets[high] + lengths[-1]
    if not index.only_grew:
        offsets = index.offsets[low : high + 1].tolist()
        # Lines never overlap: if they rise and are as long as what they span, nothing lies between.
        if end - start != sum(lengths) or offsets != sorted(offsets):
            return None
        if low and index.offsets[low - 1] + index.lengths[low - 1] != start:
            return None
    return Run(start, end, lengths, index.chains[low - 1] if low else 0, index.chains[high])
