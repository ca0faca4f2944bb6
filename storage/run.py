"""A run: records whose lines stand in the log one behind the other, in the order of their keys.

Most pages are one. The first line proves itself by its own checksum, and all others together by the
chain: a page costs a handful of steps and a slice for each object. Whatever does not prove sound
here is for the reader to look at line by line, and to name.
"""

from __future__ import annotations

from typing import NamedTuple

from storage.checksum import crc32
from storage.index import Index
from storage.record import DATA_AT, RecordError, payload

_BRACE = ord("}")


class Run(NamedTuple):
    """Where a run stands in its log, and how it proves.

    Attributes:
        start: Bytes from the start of the log, here and below.
        end: Behind its last line.
        offsets: Of its lines, rising.
        lengths: Of its lines, newline included.
        before: The chain at the end of its first line.
        after: That at its end.
    """

    start: int
    end: int
    offsets: list[int]
    lengths: list[int]
    before: int
    after: int

    def objects(self, piece: bytes) -> list[bytes] | None:
        """Return its objects, in the order of their keys.

        Args:
            piece: What stands in the log between `start` and `end`.

        Returns:
            None when anything in it is not as it was written, or is sealed.
        """
        start, first = self.start, self.lengths[0]
        if len(piece) != self.end - start:
            return None
        try:
            payload(piece, 0, first)
        except RecordError:
            return None
        if crc32(memoryview(piece)[first:], self.before) != self.after:
            return None
        # A line with nothing behind its object ends with two braces: nothing else that stands there
        # is an object, and what is sealed ends with a quotation mark.
        data = start - DATA_AT
        found = [
            piece[offset - data : offset - start + length - 2]
            for offset, length in zip(self.offsets, self.lengths, strict=True)
            if piece[offset - start + length - 3] == _BRACE
        ]
        return found if len(found) == len(self.offsets) else None


def find(index: Index, low: int, high: int) -> Run | None:
    """Return the run of the entries at the positions from `low` to `high`; None if it is none."""
    offsets = index.offsets[low : high + 1].tolist()
    lengths = index.lengths[low : high + 1].tolist()
    start, end = offsets[0], offsets[-1] + lengths[-1]
    # Lines never overlap: if they rise and are as long as what they span, nothing lies between.
    if end - start != sum(lengths) or offsets != sorted(offsets):
        return None
    return Run(start, end, offsets, lengths, index.chains[low], index.chains[high])
