"""Records read back: a page is one read, cut into its objects without decoding any of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.record import RecordError, payload

READ_NOW_BYTES_MAX = 256 * 1024
"""What may be copied out of the page cache in the event loop, in bytes."""

_GAP_BYTES_MAX = 4096

Cut = Callable[[bytes, int, int], bytes]
"""Takes what is wanted of a line out of some bytes: the line's offset in them, and its length."""

Place = tuple[int, int, int]
"""Where the newest version of a record stands: its key, offset and length in bytes."""


class Reader:
    """Reads the objects that stand at known places of a log.

    Args:
        disk: Where it lies.
        descriptors: The open files.
        by_sequence: The log's keys are sequences, which may be told to a client.
    """

    def __init__(self, disk: Disk, descriptors: Descriptors, *, by_sequence: bool) -> None:
        self._disk = disk
        self._descriptors = descriptors
        self._by_sequence = by_sequence

    def read_now(
        self, path: str, places: Sequence[Place], cut: Cut = payload
    ) -> list[bytes] | None:
        """Return the objects at these places, or None when that would mean waiting for the disk.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
        """
        descriptor = self._descriptors.peek(path)
        if descriptor is None:
            return None if places else []
        found = runs(places)
        if sum([end - start for start, end in found]) > READ_NOW_BYTES_MAX:
            return None
        pieces = {}
        for start, end in found:
            piece = self._disk.read_cached(descriptor.number, end - start, start)
            if piece is None:
                return None
            pieces[start] = piece
        return self._cut(path, places, pieces, cut)

    def read(self, path: str, places: Sequence[Place], cut: Cut = payload) -> list[bytes]:
        """Return the objects at these places; blocks.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
            OSError: The file cannot be read.
        """
        try:
            descriptor = self._descriptors.acquire(path)
        except FileNotFoundError:
            raise DamagedRecord("the file is missing", path=path, offset=None) from None
        try:
            pieces = {
                start: self._disk.read(descriptor.number, end - start, start)
                for start, end in runs(places)
            }
        finally:
            self._descriptors.release(descriptor)
        return self._cut(path, places, pieces, cut)

    def _cut(
        self, path: str, places: Sequence[Place], pieces: dict[int, bytes], cut: Cut
    ) -> list[bytes]:
        """Take the objects out of the pieces that hold their lines, proving each checksum."""
        starts = list(pieces)
        found = []
        start = starts[0] if starts else 0
        for key, offset, length in places:
            if len(starts) > 1:
                start = starts[bisect_right(starts, offset) - 1]
            try:
                found.append(cut(pieces[start], offset - start, length))
            except RecordError as error:
                named = key if self._by_sequence else None
                raise DamagedRecord(str(error), path=path, offset=offset, key=named) from error
        return found


def runs(places: Sequence[Place]) -> list[tuple[int, int]]:
    """Return the pieces to read, as start and end in bytes, rising.

    Neighbours are one piece, and so are places with only a little that is not wanted between them.
    """
    if not places:
        return []
    lengths = sum([length for _, _, length in places])
    rising = places if places[0][1] <= places[-1][1] else places[::-1]
    first, last = rising[0][1], rising[-1][1] + rising[-1][2]
    # Nothing lies between them then, unless one that was modified stands elsewhere.
    if last - first == lengths and all(first <= offset < last for _, offset, _ in places):
        return [(first, last)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted([(offset, offset + length) for _, offset, length in places]):
        if merged and start - merged[-1][1] <= _GAP_BYTES_MAX:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
