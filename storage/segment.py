"""The journal's bytes: a segment's header, the batches in it, the frames in those; pure.

A segment is a file of fixed size, zero-filled once and used again and again:

    0       header    magic, use, state, first batch, through, CRC-32
    512     freed     the header that freed the last use
    4096    batches   each from a multiple of 512 bytes on

`use` counts the uses of all segments, so it orders them. `through` is the last batch that counts in
the use before this one: what a failed write left behind it there is void. A header that is torn
while it is written says nothing; then the second one tells which use is over, as it is written
before the first one when a segment is freed, and not at all when its next use begins. A batch is

    magic, use, number, length, frames, CRC-32, then `frames` frames in `length` bytes

and counts whole or not at all. Its number is one more than that of the batch before it. A frame
says "these bytes belong at this offset of this file in this generation", so doing it twice does no
harm:

    length of path, generation, offset, length of bytes, path, bytes

All numbers are little-endian. Because the header of a batch carries the use of its segment, bytes
that an earlier use left behind are never taken for a batch of this one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from storage.checksum import crc32

BATCHES_AT = 4096
ALIGNMENT = 512
FREED_AT = 512
"""Where a segment repeats the header that freed it."""

_HEADER = struct.Struct("<8sQBQQ")
_BATCH = struct.Struct("<8sQQII")
_FRAME = struct.Struct("<HIQI")
_CHECKSUM = struct.Struct("<I")
_SEGMENT_MAGIC = b"RAGENSG1"
_BATCH_MAGIC = b"RAGENBA1"
_BATCH_HEAD_BYTES = _BATCH.size + _CHECKSUM.size


class Header(NamedTuple):
    """What a segment says of itself."""

    use: int
    in_use: bool
    first: int
    through: int

    def pack(self) -> bytes:
        """Return its bytes, `FREED_AT` of them: one sector."""
        head = _HEADER.pack(_SEGMENT_MAGIC, self.use, self.in_use, self.first, self.through)
        return (head + _CHECKSUM.pack(crc32(head))).ljust(FREED_AT, b"\0")

    @classmethod
    def unpack(cls, data: bytes) -> Header | None:
        """Read what begins with such bytes; None when they are not as they were written."""
        if len(data) < _HEADER.size + _CHECKSUM.size:
            return None
        magic, use, in_use, first, through = _HEADER.unpack_from(data)
        checked = crc32(data[: _HEADER.size])
        if magic != _SEGMENT_MAGIC or _CHECKSUM.unpack_from(data, _HEADER.size)[0] != checked:
            return None
        return cls(use, bool(in_use), first, through)


class Frame(NamedTuple):
    """Bytes that belong at an offset of a file.

    Attributes:
        path: Relative to the data directory.
        generation: The file's, as its header line says.
        offset: Bytes from the start of the file.
        data: Whole lines.
    """

    path: str
    generation: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A sound batch and where it stands.

    Attributes:
        number: Counted by one through all segments.
        frames: In the order in which they are to be done.
        offset: Bytes from the start of the segment.
        end: Where the next batch may start.
    """

    number: int
    frames: tuple[Frame, ...]
    offset: int
    end: int


def aligned(offset: int) -> int:
    """Return the first place at or behind `offset` where a batch may start."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def pack_batch(use: int, number: int, frames: Iterable[Frame]) -> bytes:
    """Return a batch, padded so that the next one can follow it."""
    parts: list[bytes] = []
    count = 0
    for path, generation, offset, data in frames:
        name = path.encode()
        parts += (_FRAME.pack(len(name), generation, offset, len(data)), name, data)
        count += 1
    body = b"".join(parts)
    head = _BATCH.pack(_BATCH_MAGIC, use, number, len(body), count)
    batch = head + _CHECKSUM.pack(crc32(body, crc32(head))) + body
    return batch.ljust(aligned(len(batch)), b"\0")


def batch_bytes(frames: Iterable[Frame]) -> int:
    """Return how long `pack_batch` would be, in bytes."""
    body = sum([_FRAME.size + len(path.encode()) + len(data) for path, _, _, data in frames])
    return aligned(_BATCH_HEAD_BYTES + body)


def batches(data: bytes, use: int) -> Iterator[Batch]:
    """Yield every sound batch of one use of a segment, by place.

    A place where none is sound is passed over, 512 bytes at a time: the reader tells by the numbers
    whether that was the end or damage.
    """
    offset = BATCHES_AT
    while offset + _BATCH_HEAD_BYTES <= len(data):
        batch = _batch_at(data, offset, use)
        if batch is None:
            offset += ALIGNMENT
        else:
            yield batch
            offset = batch.end


def newest_use(data: bytes) -> int:
    """Return the highest use of which a segment has a sound batch; 0 if it has none."""
    places = range(BATCHES_AT, len(data) - _BATCH_HEAD_BYTES + 1, ALIGNMENT)
    said = {
        _BATCH.unpack_from(data, place)[1]
        for place in places
        if data.startswith(_BATCH_MAGIC, place)
    }
    return max((use for use in said if any(True for _ in batches(data, use))), default=0)


def _batch_at(data: bytes, offset: int, use: int) -> Batch | None:
    if data[offset : offset + len(_BATCH_MAGIC)] != _BATCH_MAGIC:
        return None
    _, its_use, number, length, count = _BATCH.unpack_from(data, offset)
    place = offset + _BATCH_HEAD_BYTES
    if its_use != use or place + length > len(data):
        return None
    body = data[place : place + length]
    checked = crc32(body, crc32(data[offset : offset + _BATCH.size]))
    if _CHECKSUM.unpack_from(data, offset + _BATCH.size)[0] != checked:
        return None
    return Batch(number, tuple(_frames(body, count)), offset, aligned(place + length))


def _frames(body: bytes, count: int) -> Iterator[Frame]:
    place = 0
    for _ in range(count):
        path_length, generation, offset, length = _FRAME.unpack_from(body, place)
        place += _FRAME.size
        path = body[place : place + path_length].decode()
        place += path_length
        yield Frame(path, generation, offset, body[place : place + length])
        place += length
