"""A sidecar's bytes: a cache of a log's index, which grows as the index does.

It is made of sections, each of which has the entries that came since the one before. A section says
which generation and how many bytes of the log it covers, how the last covered line and the section
before name themselves, and carries its own checksum. From the first that does not fit on they are
ignored, and the log is read instead. A sidecar is never synced.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import NamedTuple

from storage.checksum import crc32
from storage.index import ENTRY_BYTES, Index

SIDECAR_RECORDS = 1024
"""A log has a sidecar from this many records on, and it grows after as many more."""
SECTIONS_MAX = 512
"""So many sections are quick to read; then the sidecar is written anew, as a single one."""

_HEAD = struct.Struct("<8sI4sQQ8sQQQQQQ")
_MAGIC = b"RAGENIX2" if sys.byteorder == "little" else b"2XINEGAR"
_CHECKSUM = struct.Struct("<I")


class Extent(NamedTuple):
    """How far a sidecar on the disk has come.

    Attributes:
        sections: It is made of; 0 when there is none.
        entries: In them.
        records: Lines of the log that they cover, the header not counted.
        size: Of all sections, in bytes.
        seal: The checksum of the last one, as it stands there.
    """

    sections: int = 0
    entries: int = 0
    records: int = 0
    size: int = 0
    seal: bytes = bytes(_CHECKSUM.size)

    def takes(self, index: Index) -> bool:
        """Tell whether one more section makes it a cache of this index, which is a later one.

        It does where nothing but adds came since: any other line makes fewer entries than lines.
        """
        return (
            0 < self.sections < SECTIONS_MAX
            and len(index.keys) - self.entries == index.records - self.records
        )

    def followed_by(self, section: bytes, covered: Extent) -> Extent:
        """Return how far it has come with one more section, which covers what another one does."""
        size, mark = self.size + len(section), section[-_CHECKSUM.size :]
        return Extent(self.sections + 1, covered.entries, covered.records, size, mark)


NO_SIDECAR = Extent()


class _Head(NamedTuple):
    """What a section begins with; `added` entries follow, by column."""

    magic: bytes
    generation: int
    behind: bytes
    covered: int
    last_offset: int
    last_line: bytes
    added: int
    last_key: int
    last_ms: int
    records: int
    live_bytes: int
    entries: int


def pack(
    index: Index,
    *,
    generation: int,
    covered: int,
    last_offset: int,
    last_line: bytes,
    behind: Extent = NO_SIDECAR,
) -> list[bytes]:
    """Return a sidecar's section, but for its checksum, in pieces: `seal` adds it, in its own time.

    Args:
        index: What the log holds up to `covered`.
        generation: The log's.
        covered: Bytes of the log, from its start.
        last_offset: Where the line that ends there begins.
        last_line: Its checksum digits.
        behind: What the section goes behind, which has to take it.
    """
    columns = (index.keys, index.offsets, index.lengths)
    head = _Head(
        _MAGIC,
        generation,
        behind.seal,
        covered,
        last_offset,
        last_line,
        len(index.keys) - behind.entries,
        index.last_key,
        index.last_ms,
        index.records,
        index.live_bytes,
        len(index.keys),
    )
    return [
        _HEAD.pack(*head),
        *(memoryview(column)[behind.entries :].tobytes() for column in columns),
    ]


def seal(pieces: list[bytes]) -> bytes:
    """Put together what `pack` returned, and add the checksum."""
    section = b"".join(pieces)
    return section + _CHECKSUM.pack(crc32(section))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that is sound in itself; whether it fits its log is for the log to say."""

    index: Index
    generation: int
    covered: int
    last_offset: int
    last_line: bytes
    extent: Extent


def unpack(data: bytes) -> Sidecar | None:
    """Read a sidecar file's bytes as far as they are sound.

    Returns:
        None when not even the first section is as written, or from here.
    """
    index, extent, head = Index(), NO_SIDECAR, None
    with memoryview(data) as view:
        while (found := _section(view, extent)) is not None:
            head, columns = found
            place = 0
            for column in (index.keys, index.offsets, index.lengths):
                end = place + head.added * column.itemsize
                column.frombytes(columns[place:end])
                place = end
            size = extent.size + _HEAD.size + len(columns) + _CHECKSUM.size
            mark = data[size - _CHECKSUM.size : size]
            extent = Extent(extent.sections + 1, head.entries, head.records, size, mark)
    if head is None:
        return None
    index.last_key, index.last_ms = head.last_key, head.last_ms
    index.records, index.live_bytes = head.records, head.live_bytes
    return Sidecar(index, head.generation, head.covered, head.last_offset, head.last_line, extent)


def _section(data: memoryview, behind: Extent) -> tuple[_Head, memoryview] | None:
    """Read the section that goes on where a sidecar has come to; None if there is no sound one."""
    start = behind.size
    columns = start + _HEAD.size
    if len(data) < columns + _CHECKSUM.size:
        return None
    head = _Head(*_HEAD.unpack_from(data, start))
    end = columns + head.added * ENTRY_BYTES
    if (
        (head.magic, head.behind) != (_MAGIC, behind.seal)
        or head.entries != behind.entries + head.added
        or len(data) < end + _CHECKSUM.size
        or _CHECKSUM.unpack_from(data, end)[0] != crc32(data[start:end])
    ):
        return None
    return head, data[columns:end]
