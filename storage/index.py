"""Where the live records of a log are: four columns in memory.

An entry is a key (a message's sequence, or the 64-bit time key of a thread), the offset of the
newest version of its line, that line's length, and the chain up to its end: 24 bytes. Keys only
grow, so the columns are sorted by birth and a lookup is a bisection. What was deleted has no entry.

The chain is the CRC-32 of all lines of the log behind its header. From the chain at the end of one
line to that at the end of a later one, a single checksum proves all that stands between them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import partial

from storage.checksum import crc32
from storage.record import ADDS, REMOVES, REPLACES

ENTRY_BYTES = 24
_LONGS, _SHORTS = partial(array, "Q"), partial(array, "I")


@dataclass(slots=True)
class Index:
    """The live records of one log, oldest first.

    Attributes:
        keys: Strictly rising.
        offsets: Bytes from the start of the log, by the same position as `keys`.
        lengths: Bytes of the line, newline included.
        chains: The chain at the end of the line.
        chain: That at the end of the log.
        last_key: The highest key there ever was, 0 before the first.
        last_ms: The creation time of the newest record there ever was, Unix milliseconds.
        records: Lines in the log, the header not counted.
        live_bytes: Of the lines that entries point at.
    """

    keys: array[int] = field(default_factory=_LONGS)
    offsets: array[int] = field(default_factory=_LONGS)
    lengths: array[int] = field(default_factory=_SHORTS)
    chains: array[int] = field(default_factory=_SHORTS)
    chain: int = 0
    last_key: int = 0
    last_ms: int = 0
    records: int = 0
    live_bytes: int = 0

    def __len__(self) -> int:
        """Count what is live."""
        return len(self.keys)

    def find(self, key: int) -> int | None:
        """Return the position of a live key, or None."""
        position = bisect_left(self.keys, key)
        if position < len(self.keys) and self.keys[position] == key:
            return position
        return None

    def holds(self, key: int) -> bool:
        """Tell whether a record is live."""
        return self.find(key) is not None

    @property
    def only_grew(self) -> bool:
        """Tell whether each line of the log is a live record's: none was changed or deleted."""
        return self.records == len(self.keys)

    @property
    def columns(self) -> tuple[array[int], ...]:
        """What makes up the entries."""
        return self.keys, self.offsets, self.lengths, self.chains

    def lengthen(self, line: bytes, *, is_sound: bool = True) -> None:
        """Lead the chain over the next line, before it is applied.

        No chain leads over a line that is not sound: whatever is read across it proves false.
        """
        self.chain = crc32(line, self.chain) ^ (not is_sound)

    def apply(self, kind: str, key: int, offset: int, length: int) -> None:
        """Take in one record; a version or a tombstone of what is gone changes nothing."""
        self.records += 1
        if kind in ADDS:
            self.keys.append(key)
            self.offsets.append(offset)
            self.lengths.append(length)
            self.chains.append(self.chain)
            self.last_key = max(key, self.last_key)
            self.live_bytes += length
            return
        position = self.find(key)
        if position is None:
            return
        self.live_bytes -= self.lengths[position]
        if kind in REPLACES:
            self.live_bytes += length
            self.offsets[position] = offset
            self.lengths[position] = length
            self.chains[position] = self.chain
        elif kind in REMOVES:
            for column in self.columns:
                del column[position]

    def page(
        self, *, limit: int, ascending: bool, after: int | None, before: int | None, bytes_max: int
    ) -> tuple[range, bool]:
        """Choose a page.

        Args:
            limit: Entries at most, 1 or more.
            ascending: Oldest first; otherwise newest first.
            after: The page starts behind this key, in the order asked for; it need not be live.
            before: The page ends just in front of this key, in the order asked for.
            bytes_max: The page ends early before its lines pass this; one always fits.

        Returns:
            Positions in the order asked for, and whether more lie in the direction of travel.
        """
        above, below = (after, before) if ascending else (before, after)
        low = 0 if above is None else bisect_right(self.keys, above)
        high = len(self.keys) if below is None else bisect_left(self.keys, below)
        # Travel starts at the cursor, or at the first entry of the order when there is none.
        upward = ascending if before is None else not ascending
        if upward:
            chosen = range(low, min(high, low + limit))
        else:
            chosen = range(high - 1, max(low, high - limit) - 1, -1)
        chosen = self._within(chosen, bytes_max)
        more = high - low > len(chosen)
        return (chosen if upward == ascending else chosen[::-1]), more

    def _within(self, chosen: range, bytes_max: int) -> range:
        if self.live_bytes <= bytes_max:
            return chosen
        rising = chosen if chosen.step > 0 else chosen[::-1]
        if not chosen or sum(self.lengths[rising.start : rising.stop]) <= bytes_max:
            return chosen
        total = 0
        for count, position in enumerate(chosen):
            total += self.lengths[position]
            if total > bytes_max and count:
                return chosen[:count]
        return chosen

    @property
    def memory_bytes(self) -> int:
        """What the columns hold, in bytes."""
        return ENTRY_BYTES * len(self.keys)
