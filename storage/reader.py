"""Records read back: a page is one read, cut into its objects without decoding any of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from storage.descriptors import Descriptors
from storage.durable import READ_CACHED_BYTES_MAX, Disk
from storage.errors import DamagedRecord
from storage.record import RecordError, payload

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

    __slots__ = ("_by_sequence", "_descriptors", "_disk")

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
        pieces = {}
        room = READ_CACHED_BYTES_MAX
        for start, end in runs(places):
            room -= end - start
            if room < 0:
                return None
            piece = self._disk.read_cached(descriptor.number, end - start, start)
            if piece is None:
                return None
            pieces[start] = piece
        return self._cut(path, places, pieces, cut)

    def piece_now(self, path: str, start: int, end: int) -> bytes | None:
        """Return the bytes of a log between two offsets, or None where `read_now` would."""
        descriptor = self._descriptors.peek(path)
        if descriptor is None or end - start > READ_CACHED_BYTES_MAX:
            return None
        return self._disk.read_cached(descriptor.number, end - start, start)

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
        piece = pieces.get(start, b"")
        for key, offset, length in places:
            if len(starts) > 1:
                start = starts[bisect_right(starts, offset) - 1]
                piece = pieces[start]
            try:
                found.append(cut(piece, offset - start, length))
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
    offsets = [offset for _, offset, _ in places]
    first, last = min(offsets), max(offsets)
    end = last + places[offsets.index(last)][2]
    # Lines never overlap: if they are as long as what they span, nothing lies between them.
    if end - first == sum([length for _, _, length in places]):
        return [(first, end)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted([(offset, offset + length) for _, offset, length in places]):
        if merged and start - merged[-1][1] <= _GAP_BYTES_MAX:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
