"""The header of a journal segment is torn at any byte: that is no damage, and costs nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from storage.append import LogHeader
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.journal import Journal
from storage.record import HEADER, encode
from storage.recovery import recover
from storage.segment import Frame, Header
from storage.segment_file import SEGMENTS, segment_header, segment_path

SEGMENT_BYTES = 16 * 1024
PATH = "log.jsonl"
HEADER_BYTES = 37
FIRST = encode(HEADER, 0, msgspec.json.encode(LogHeader("x", "y")))


class TearingDisk(Disk):
    """A real disk whose power goes in the middle of a write that is to be durable.

    Attributes:
        writes_left: Before the one that is torn.
        taken: Bytes of it that reach the disk.
    """

    writes_left = 1 << 30
    taken = 0

    def write_durable(self, descriptor: int, data: bytes, offset: int) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            self.write(descriptor, data[: self.taken], offset)
            raise OSError(5, "the power is cut")
        super().write_durable(descriptor, data, offset)


class Past:
    """A journal and the one file that it writes to."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.disk = TearingDisk(root)
        Journal.create(self.disk, SEGMENT_BYTES)
        self.journal = Journal(self.disk, SEGMENT_BYTES, lambda: 0.0)
        self.whole = b""

    def begin(self) -> None:
        """Begin a use; its batch is acknowledged once the file has it."""
        self.journal.rotate()
        line = encode("m", self.journal.use, b"{}") if self.whole else FIRST
        self.journal.write([Frame(PATH, 1, len(self.whole), line)])
        with self.disk.opened(PATH, create=True) as descriptor:
            self.disk.write(descriptor, line, len(self.whole))
        self.whole += line

    def end(self) -> None:
        """Free the oldest use."""
        self.journal.free(self.journal.in_use[0])


@pytest.mark.parametrize("taken", range(HEADER_BYTES + 1))
@pytest.mark.parametrize("uses", [0, 1, 4, 6])
@pytest.mark.parametrize("step", ["begin", "end, first slot", "end, second slot"])
def test_a_header_torn_at_any_byte_is_no_damage(
    tmp_path: Path, step: str, uses: int, taken: int
) -> None:
    past = Past(tmp_path / "data")
    for _ in range(uses):
        past.begin()
        past.end()
    if step != "begin":
        past.begin()
    past.disk.taken = taken
    past.disk.writes_left = int(step.endswith("second slot"))
    with pytest.raises(Exception, match="the power is cut"):
        past.begin() if step == "begin" else past.end()
    disk = Disk(past.disk.root)
    outcome = recover(disk, is_copy=False)
    assert outcome.faults == []
    assert outcome.use in (past.journal.use, past.journal.use + 1)
    assert not past.whole or disk.read_file(PATH) == past.whole
    for number in range(SEGMENTS):
        header = segment_header(disk, number)
        assert header is None or not header.in_use
        block = disk.read_file(segment_path(number))
        assert Header.unpack(block) == header, "the first slot is whole again"


def test_a_damaged_header_of_a_use_that_is_not_over_is_damage(tmp_path: Path) -> None:
    past = Past(tmp_path / "data")
    for _ in range(5):
        past.begin()
        past.end()
    past.begin()
    path = past.disk.root / segment_path(1)
    data = bytearray(path.read_bytes())
    for place in range(HEADER_BYTES):
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedRecord, match="not as it was written"):
            segment_header(past.disk, 1)
        data[place] ^= 1
