"""What the reaper reads to find the threads that were deleted in a former life."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Options, Storage
from storage.datadir import catalog_path, thread_path
from storage.durable import Disk
from storage.index import Index
from storage.record import encode
from storage.scan import lines, sound_lines
from storage.sidecar_file import pack
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import (
    ORG,
    commit,
    created,
    message,
    thread,
    thread_id,
    until,
)

CATALOG = catalog_path(ORG)


def stone(number: int) -> bytes:
    """A tombstone of a time to come, so that nothing is reaped before it is asked for."""
    return b'{"id":"%b","deleted_at":9999999999}' % thread_id(number).encode()


@contextmanager
def written(folder: Path, data: bytes) -> Iterator[tuple[Disk, int]]:
    disk = Disk(folder)
    (folder / "log").write_bytes(data)
    with disk.opened("log") as descriptor:
        yield disk, descriptor


LINES = st.lists(
    st.sampled_from(
        [
            encode("t", 1, thread(1)),
            encode("t", 2, thread(2, "x" * 300)),
            encode("v", 3, b'{"id":"%b","metadata":{"k":"y"}}' % thread_id(1).encode()),
            encode("y", 4, stone(1)),
            encode("y", 5, stone(2)),
            encode("y", 6, stone(2)).replace(b"deleted", b"DELETED"),
            encode("y", 7, stone(2))[:-1],
            encode("y", 8, stone(2))[20:],
            b"\n",
            b"\0" * 40,
        ]
    ),
    max_size=12,
)


@given(its=LINES, piece=st.integers(1, 400))
def test_the_search_for_sound_lines_of_a_kind_finds_those_that_reading_finds(
    tmp_path_factory: pytest.TempPathFactory, its: list[bytes], piece: int
) -> None:
    header = encode("h", 0, b'{"id":"acme","org":"acme"}')
    data = header + b"".join(its)
    folder = tmp_path_factory.mktemp("log")
    with pytest.MonkeyPatch.context() as patch, written(folder, data) as (disk, descriptor):
        patch.setattr("storage.scan._SEARCHED_BYTES", piece)
        found = list(sound_lines(disk, descriptor, "y", len(header), len(data)))
        read = list(lines(disk, descriptor, len(header), len(data)))
    assert {each for each in read if each.kind == "y" and not each.fault} <= set(found)
    assert all(data[each.offset :].startswith(each.data) for each in found)
    assert found == sorted(set(found), key=lambda each: each.offset)


def test_the_search_gives_up_on_what_is_longer_than_any_line(tmp_path: Path) -> None:
    endless = encode("y", 1, stone(1))[:-1] + b"x" * (9 << 20)
    with written(tmp_path, endless + b"\n" + encode("y", 2, stone(2))) as (disk, descriptor):
        found = list(sound_lines(disk, descriptor, "y", 0, disk.size(descriptor)))
    assert [each.sequence for each in found] == [2]


@pytest.fixture
async def former(options: Options, monkeypatch: pytest.MonkeyPatch) -> Options:
    """A data directory with forty threads and a sidecar of their catalogue."""
    monkeypatch.setattr("storage.sidecars.SIDECAR_RECORDS", 8)
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    for number in range(40):
        await created(storage, catalog, number, [message(1)])
    storage.leave(catalog)
    await until(lambda: not catalog.saving)
    await storage.close()
    return options


async def catalogue_bytes_read(options: Options, opened: list[Storage], removed: int) -> int:
    """Start; let everything be reaped; return how many bytes of the catalogue that read."""
    disk = Measuring(options.data_dir)
    storage = await Storage.open(options, disk)
    opened.append(storage)
    assert await storage.upkeep.reap(now=True) == removed
    return disk.read_of[CATALOG]


class Measuring(FragileDisk):
    """A disk that adds up what is read of each file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_of: dict[str, int] = {}

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().read(descriptor, length, offset)
        path = self.path_of(descriptor)
        self.read_of[path] = self.read_of.get(path, 0) + len(data)
        return data


async def test_where_the_sidecar_tells_that_nobody_was_deleted_the_catalogue_is_not_read(
    former: Options, opened: list[Storage]
) -> None:
    line = len(encode("t", 1, thread(1)))
    header_and_last_line = 4096 + line
    assert await catalogue_bytes_read(former, opened, 0) <= header_and_last_line
    assert (former.data_dir / CATALOG).stat().st_size > 40 * line


@pytest.mark.parametrize("when", ["before the sidecar", "behind the sidecar"])
async def test_who_was_deleted_in_a_former_life_is_found_whatever_the_sidecar_covers(
    former: Options, opened: list[Storage], when: str
) -> None:
    storage = await Storage.open(former)
    catalog = await storage.open_catalog(ORG)
    await commit(storage, catalog.remove(catalog.next_number, stone(7)))
    if when == "before the sidecar":
        await created(storage, catalog, 99)
        storage.leave(catalog)
        await until(lambda: not catalog.saving)
        assert catalog.sidecar.records == 42
    await storage.close()
    assert await catalogue_bytes_read(former, opened, 1) > 0
    assert not (former.data_dir / thread_path(ORG, thread_id(7))).exists()


@pytest.mark.parametrize(
    ("generation", "last_line", "removed"),
    [(1, None, 0), (2, None, 1), (1, b"00000000", 1)],
    ids=["believed", "of another generation", "of another log"],
)
async def test_a_sidecar_that_is_not_of_this_catalogue_hides_no_deleted_thread(
    former: Options,
    opened: list[Storage],
    generation: int,
    last_line: bytes | None,
    removed: int,
) -> None:
    storage = await Storage.open(former)
    catalog = await storage.open_catalog(ORG)
    await commit(storage, catalog.remove(catalog.next_number, stone(7)))
    await storage.close()
    data, _ = pack(
        Index(),  # As if nobody had ever been deleted.
        generation=generation,
        covered=catalog.end,
        last_offset=catalog.last_offset,
        last_line=last_line or catalog.last_line,
    ).seal()
    (former.data_dir / catalog.sidecar_path).write_bytes(data)
    await catalogue_bytes_read(former, opened, removed)


async def test_a_catalogue_whose_header_is_damaged_is_searched_all_the_same(
    former: Options, opened: list[Storage]
) -> None:
    storage = await Storage.open(former)
    catalog = await storage.open_catalog(ORG)
    await commit(storage, catalog.remove(catalog.next_number, stone(7)))
    await storage.close()
    data = bytearray((former.data_dir / CATALOG).read_bytes())
    data[70] ^= 1
    (former.data_dir / CATALOG).write_bytes(data)
    await catalogue_bytes_read(former, opened, 1)
