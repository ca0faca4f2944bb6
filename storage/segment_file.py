"""A segment of the journal on the disk: where it lies, what it says of itself, how it is freed."""

from __future__ import annotations

from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.segment import BATCHES_AT, FREED_AT, Header, newest_use

SEGMENTS = 4


def segment_path(number: int) -> str:
    """Return where a segment lies, relative to the data directory."""
    return f"journal/{number}.wal"


def segment_header(disk: Disk, number: int) -> Header | None:
    """Return what a segment says of itself; None for one that was never used.

    Raises:
        DamagedRecord: It says nothing, and batches stand in it that may be needed.
        FileNotFoundError: There is no such segment.
    """
    path = segment_path(number)
    with disk.opened(path) as descriptor:
        block = disk.read(descriptor, BATCHES_AT, 0)
        header = Header.unpack(block)
        if header is not None or not block.strip(b"\0"):
            return header
        # A write of the header that was cut off is no damage: the segment was free before it, or
        # was just becoming so. Batches of a use that is not over say that it was another write.
        freed = Header.unpack(block[FREED_AT:])
        body = disk.read(descriptor, disk.size(descriptor), 0)
        if newest_use(body) > (freed.use if freed else 0):
            raise DamagedRecord("the header is not as it was written", path=path, offset=0)
        return freed


def write_freed(disk: Disk, number: int, header: Header) -> None:
    """Say durably that a use is over, so that no moment of it can be torn.

    Raises:
        OSError: The disk fails; the use is over or it is not.
    """
    assert not header.in_use
    with disk.opened(segment_path(number)) as descriptor:
        for place in (FREED_AT, 0):
            disk.write_durable(descriptor, header.pack(), place)
