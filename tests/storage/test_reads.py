"""Reading records back: how many pieces that takes, and that both ways give the same."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from pathlib import Path

import pytest

from storage import CatalogLog, Options, Place, Storage, ThreadLog
from storage.descriptors import Descriptors
from storage.durable import READ_CACHED_BYTES_MAX, Disk
from storage.reader import runs
from storage.sidecar_file import SIDECAR_RECORDS
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import (
    ORG,
    SECONDS_MAX,
    append,
    commit,
    created,
    message,
    read,
    read_all,
    thread_id,
    until,
)

BYTES_MAX = 8 << 20


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


@pytest.fixture
async def log(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    return await created(
        storage, catalog, 1, [message(each, f"text {each}" * 20) for each in range(1, 101)]
    )


def page(log: ThreadLog, after: int | None = None, *, ascending: bool = False) -> list[Place]:
    positions, _ = log.index.page(
        limit=20, ascending=ascending, after=after, before=None, bytes_max=BYTES_MAX
    )
    return list(log.places(positions))


def pieces(disk: FragileDisk, log: ThreadLog, places: list[Place]) -> int:
    """Count what one read of these places asks the disk for."""
    before = disk.count("read_cached") + disk.count("read")
    assert log.read_now(places) is not None
    return disk.count("read_cached") + disk.count("read") - before


@pytest.mark.parametrize("after", [None, 100, 60, 21])
@pytest.mark.parametrize("ascending", [True, False])
async def test_a_page_of_twenty_is_at_most_two_pieces(
    disk: FragileDisk, log: ThreadLog, after: int | None, ascending: bool
) -> None:
    places = page(log, after, ascending=ascending)
    assert len(places) == 20 or (after, ascending) == (100, True)
    assert pieces(disk, log, places) <= 2


async def test_each_modified_message_of_a_page_is_at_most_one_piece_more(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    far = "x" * 5000  # So that no two of them are neighbours.
    for count, sequence in enumerate((90, 81, 99, 85, 100), 1):
        await append(storage, log, far)
        await commit(storage, log.replace(sequence, message(sequence, "newer")))
        await append(storage, log, far)
        places = page(log, 101)
        assert sorted(place[0] for place in places) == list(range(81, 101))
        assert pieces(disk, log, places) <= 2 + count


async def test_both_ways_to_read_give_the_same_in_the_order_asked_for(
    storage: Storage, log: ThreadLog
) -> None:
    await commit(storage, log.replace(90, message(90, "newer")))
    for places in (page(log), page(log, 95), page(log, ascending=True), page(log)[::-1], []):
        now = log.read_now(places)
        assert now == log.read(places)
        assert now == await read(storage, log, places)
        assert [int(data[23:31], 16) for data in now or []] == [place[0] for place in places]


@pytest.mark.parametrize("places", [1, 5, 20])
async def test_a_read_that_would_wait_is_done_elsewhere(
    storage: Storage, disk: FragileDisk, log: ThreadLog, places: int
) -> None:
    disk.reads_ahead = False
    wanted = page(log)[:places]
    assert log.read_now(wanted) is None
    later = storage.read(log, wanted)
    assert not isinstance(later, list)
    assert await later == log.read(wanted)


async def test_more_than_a_loop_may_copy_is_read_elsewhere(
    storage: Storage, log: ThreadLog
) -> None:
    sequence = log.next_sequence
    for _ in range(3):
        await append(storage, log, "x" * (READ_CACHED_BYTES_MAX // 3))
    assert log.read_now(log.places(range(sequence - 1, sequence))) is not None
    large = log.places(range(sequence - 1, sequence + 2))
    assert log.read_now(large) is None
    assert [len(data) > 80_000 for data in await read(storage, log, large)] == [True] * 3


async def test_a_file_that_nobody_has_open_is_opened_elsewhere(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    other = ThreadLog(log.path + ".other", disk, Descriptors(disk, 1))
    assert other.read_now([]) == []
    assert other.read_now([(1, 0, 10)]) is None
    with pytest.raises(Exception, match="missing"):
        other.read([(1, 0, 10)])


def test_runs_join_neighbours_and_little_gaps_and_cover_every_place() -> None:
    places = [(1, 0, 100), (2, 100, 50), (3, 4246, 10), (4, 8353, 7)]
    assert runs(places) == [(0, 4256), (8353, 8360)]
    assert runs(places[::-1]) == runs(places)
    assert runs([]) == []


async def test_a_long_log_has_a_sidecar_and_is_opened_without_being_read(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    log = await created(storage, catalog, 2, [message(each) for each in range(1, 901)])
    for _ in range(SIDECAR_RECORDS - 900):
        await append(storage, log)
        storage.tend(log)
    await until(lambda: (disk.root / log.sidecar_path).exists() and not log.saving)
    await append(storage, log, "behind the sidecar")
    before = len(disk.calls)
    again = await storage.open_thread(ORG, thread_id(2))
    assert again.index == log.index
    assert again.end == log.end
    calls = [call for call, path in disk.calls[before:] if path == log.path and call == "read"]
    assert len(calls) <= 4, "header, last covered line, what is behind it, its end"
    assert await read_all(storage, again) == await read_all(storage, log)


def test_what_a_kernel_or_a_file_system_lacks_is_found_out_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tmpfs and FUSE refuse the flags; other systems have no such calls."""
    monkeypatch.delattr(os, "pwritev")
    monkeypatch.delattr(os, "preadv")
    disk = Disk(tmp_path)
    disk.probe()
    assert (disk.writes_through, disk.reads_ahead) == (False, False)
    with disk.opened("file", create=True) as descriptor:
        disk.write_durable(descriptor, b"lasting", 0)
        assert disk.syncs == 1
        assert disk.read_cached(descriptor, 7, 0) is None
        assert disk.read(descriptor, 7, 0) == b"lasting"


def test_a_file_system_in_memory_is_served_without_the_flags_that_it_refuses() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        disk = Disk(Path(folder))
        disk.probe()
        with disk.opened("file", create=True) as descriptor:
            disk.write_durable(descriptor, b"lasting", 0)
            found = disk.read_cached(descriptor, 7, 0)
            assert found in (b"lasting", None)
            assert (found is None) == (not disk.reads_ahead)


async def test_reads_alone_keep_no_more_files_open_than_the_bound(options: Options) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        storage = await Storage.open(options)
        catalog = await storage.open_catalog(ORG)
        for number in range(1, 41):
            await created(storage, catalog, number, [message(1)])
        await storage.close()
        storage = await Storage.open(dataclasses.replace(options, open_files_max=8))
        most = 0
        for _ in range(2):
            logs = [await storage.open_thread(ORG, thread_id(number)) for number in range(1, 41)]
            for log in logs:
                assert await read(storage, log, page(log))
                most = max(most, len(storage._descriptors))
        await storage.close()
    assert most <= 8 + 1, "and the one that is being read"
