"""A sidecar's bytes: a cache of a log's index, which grows as the index does.

It is made of sections, each of which has the entries that came since the one before. Its head says
which generation and how many bytes of the log it covers, how the last covered line and the head
before name themselves, and has a checksum; another one is that of the columns behind it. From the
first section that does not fit on they are ignored, and the log is read instead. A sidecar is never
synced.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from storage.checksum import crc32
from storage.index import ENTRY_BYTES, Index

SIDECAR_RECORDS = 1024
"""A log has a sidecar from this many records on, and it grows after as many more."""
SECTIONS_MAX = 512
"""So many sections are quick to read; then the sidecar is written anew, as a single one."""

_HEAD = struct.Struct("<8sI4sQQ8sQQQQQQII")
_MAGIC = b"RAGENIX3" if sys.byteorder == "little" else b"3XINEGAR"
_CHECKSUM = struct.Struct("<I")
_COLUMNS_AT = _HEAD.size + _CHECKSUM.size
_PIECE_BYTES = 64 * 1024
"""Read at a time: so little is read into memory that is warm already."""

Read = Callable[[int, int], bytes]
"""Reads so many bytes of a sidecar from an offset on; fewer only at its end."""


class Extent(NamedTuple):
    """How far a sidecar on the disk has come.

    Attributes:
        sections: It is made of; 0 when there is none.
        entries: In them.
        records: Lines of the log that they cover, the header not counted.
        last: Where the last one begins, in bytes.
        size: Of all sections, in bytes.
        seal: The checksum of the last one's head, as it stands there.
    """

    sections: int = 0
    entries: int = 0
    records: int = 0
    last: int = 0
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

    def is_as_left(self, read: Read) -> bool:
        """Tell whether the last section is still the one that was written there."""
        return read(_CHECKSUM.size, self.last + _HEAD.size) == self.seal


NO_SIDECAR = Extent()


class Head(NamedTuple):
    """What a section begins with.

    Attributes:
        magic: That of this format.
        generation: Of the log.
        behind: The seal of the section before.
        covered: Bytes of the log, from its start.
        last_offset: Where the line that ends there begins.
        last_line: Its checksum digits.
        added: Entries of the section; they follow by column.
        last_key: As in the index, here and below.
        last_ms: Unix milliseconds.
        records: Lines of the log.
        live_bytes: In all entries.
        entries: Of all sections so far.
        chain: As in the index.
        columns: Checksum of the bytes that follow.
    """

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
    chain: int
    columns: int


class Section(NamedTuple):
    """What is to be written behind others, or as the first; the checksums are still missing."""

    head: Head
    columns: list[bytes]
    behind: Extent

    def seal(self) -> tuple[bytes, Extent]:
        """Return its bytes, and how far the sidecar has come with them; any thread may do that."""
        head, behind, columns = self.head, self.behind, b"".join(self.columns)
        start = _HEAD.pack(*head._replace(columns=crc32(columns)))
        seal = _CHECKSUM.pack(crc32(start))
        data = b"".join((start, seal, columns))
        end = behind.size + len(data)
        extent = Extent(behind.sections + 1, head.entries, head.records, behind.size, end, seal)
        return data, extent


def pack(
    index: Index,
    *,
    generation: int,
    covered: int,
    last_offset: int,
    last_line: bytes,
    behind: Extent = NO_SIDECAR,
) -> Section:
    """Return what a sidecar lacks, as it is now.

    Args:
        index: What the log holds up to `covered`.
        generation: The log's.
        covered: Bytes of the log, from its start.
        last_offset: Where the line that ends there begins.
        last_line: Its checksum digits.
        behind: What the section goes behind, which has to take it.
    """
    entries = len(index.keys)
    head = Head(
        _MAGIC,
        generation,
        behind.seal,
        covered,
        last_offset,
        last_line,
        entries - behind.entries,
        index.last_key,
        index.last_ms,
        index.records,
        index.live_bytes,
        entries,
        index.chain,
        0,
    )
    lacking = [memoryview(column)[behind.entries :].tobytes() for column in index.columns]
    return Section(head, lacking, behind)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that is sound in itself; whether it fits its log is for the log to say."""

    index: Index
    generation: int
    covered: int
    last_offset: int
    last_line: bytes
    extent: Extent


def heads(read: Read) -> Iterator[tuple[Head, Extent]]:
    """Yield the sound heads of a sidecar, as long as each goes behind the one before.

    With each goes how far the sidecar has come there. The columns are not looked at.
    """
    extent = NO_SIDECAR
    while len(data := read(_COLUMNS_AT, extent.size)) == _COLUMNS_AT:
        head, seal = Head(*_HEAD.unpack_from(data)), data[_HEAD.size :]
        is_sound = _CHECKSUM.pack(crc32(data[: _HEAD.size])) == seal
        is_next = head.behind == extent.seal and head.entries == extent.entries + head.added
        if head.magic != _MAGIC or not is_sound or not is_next:
            return
        start = extent.size
        end = start + _COLUMNS_AT + head.added * ENTRY_BYTES
        extent = Extent(extent.sections + 1, head.entries, head.records, start, end, seal)
        yield head, extent


def unpack(read: Read) -> Sidecar | None:
    """Read a sidecar as far as it is sound; None when not even its first section is."""
    found = list(heads(read))
    entries = found[-1][0].entries if found else 0
    # All at once: memory that grows is paid for again and again.
    keys, offsets, lengths, chains = [
        array(each.typecode, [0]) * entries for each in Index().columns
    ]
    index = Index(keys, offsets, lengths, chains)
    sidecar = None
    for head, extent in found:
        if not _take(head, read, extent.last + _COLUMNS_AT, index.columns):
            break
        index.last_key, index.last_ms = head.last_key, head.last_ms
        index.records, index.live_bytes = head.records, head.live_bytes
        index.chain = head.chain
        covers = (head.generation, head.covered, head.last_offset, head.last_line)
        sidecar = Sidecar(index, *covers, extent)
    if sidecar is not None:
        for column in index.columns:
            del column[sidecar.extent.entries :]
    return sidecar


def _take(head: Head, read: Read, place: int, columns: Iterable[array[int]]) -> bool:
    """Put a section's columns into their places; tell whether they are as they were written."""
    checksum = 0
    for column in columns:
        with memoryview(column) as view, view.cast("B") as room:
            at = (head.entries - head.added) * column.itemsize
            end = head.entries * column.itemsize
            while piece := read(min(_PIECE_BYTES, end - at), place):
                checksum = crc32(piece, checksum)
                room[at : at + len(piece)] = piece
                at, place = at + len(piece), place + len(piece)
            if at != end:
                return False
    return checksum == head.columns
