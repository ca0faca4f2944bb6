from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from storage import Options, Storage, ThreadLog
from storage.check import check
from storage.datadir import thread_path
from storage.kinds import CatalogLog
from storage.record_log import RecordLog
from tests.storage.fragile_disk import FragileDisk, Held
from tests.storage.samples import (
    ORG,
    append,
    commit,
    crashed,
    created,
    message,
    only_id,
    thread_id,
    until,
)


def everything(storage: Storage, log: RecordLog) -> list[bytes]:
    return log.read(log.places(range(len(log.index))))


async def delete(storage: Storage, log: ThreadLog, sequence: int) -> None:
    await commit(storage, log.remove(sequence, only_id(message(sequence))))


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


@pytest.fixture
async def worn(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    """A thread of 30 messages: every third deleted, the fifth with a new version."""
    log = await created(storage, catalog, 1, [message(each, "x" * 200) for each in range(1, 31)])
    for sequence in range(3, 31, 3):
        await delete(storage, log, sequence)
    await commit(storage, log.replace(5, message(5, "changed")))
    return log


async def test_what_is_live_is_the_same_after_a_compaction_and_what_is_dead_is_gone(
    storage: Storage, worn: ThreadLog, data_dir: Path
) -> None:
    before, size = everything(storage, worn), worn.end
    assert await storage.upkeep.compact(worn)
    assert everything(storage, worn) == before
    assert worn.generation == 2
    assert worn.end < size
    content = (data_dir / worn.path).read_bytes()
    assert len(content) == worn.end
    assert message(3, "x" * 200) not in content
    assert list(check(data_dir)) == []


async def test_a_compacted_thread_goes_on_where_it_was(
    storage: Storage, worn: ThreadLog, opened: list[Storage], options: Options, tmp_path: Path
) -> None:
    await delete(storage, worn, 29)
    await delete(storage, worn, 28)
    assert await storage.upkeep.compact(worn)
    assert worn.next_sequence == 31
    await append(storage, worn, "later")
    expected = everything(storage, worn)
    there = crashed(options.data_dir, tmp_path / "there")
    again = await Storage.open(replace(options, data_dir=there))
    opened.append(again)
    log = await again.open_thread(ORG, thread_id(1))
    assert everything(again, log) == expected
    assert (log.generation, log.next_sequence) == (2, 32)


async def test_lines_that_come_during_a_compaction_are_in_its_outcome(
    storage: Storage, worn: ThreadLog, disk: FragileDisk
) -> None:
    disk.before = (copying := Held("read", suffix=worn.path))
    compaction = asyncio.create_task(storage.upkeep.compact(worn))
    await until(copying.reached.is_set)
    for number in range(5):
        await append(storage, worn, f"meanwhile {number}")
    await delete(storage, worn, 33)
    copying.let_go()
    assert await compaction
    texts = [data for data in everything(storage, worn) if b"meanwhile" in data]
    assert [data[-13:-2] for data in texts] == [b"meanwhile %d" % each for each in (0, 1, 3, 4)]
    assert worn.generation == 2


async def test_a_compacted_catalogue_lists_the_same_threads(
    storage: Storage, catalog: CatalogLog, data_dir: Path
) -> None:
    for number in range(1, 21):
        await created(storage, catalog, number)
    for number in range(1, 21, 2):
        data = b'{"id":"%b","deleted_at":1}' % thread_id(number).encode()
        await commit(storage, catalog.remove(catalog.next_number, data))
    before = everything(storage, catalog)
    assert await storage.upkeep.compact(catalog)
    assert everything(storage, catalog) == before
    assert list(check(data_dir)) == [], "threads whose files are still there stay known as deleted"


@pytest.mark.parametrize("call", ["write", "sync", "replace"])
async def test_a_compaction_that_fails_leaves_the_log_as_it_was(
    storage: Storage, worn: ThreadLog, disk: FragileDisk, data_dir: Path, call: str
) -> None:
    expected = everything(storage, worn)

    def fail(name: str, path: str) -> None:
        if name == call and path.endswith(".new"):
            raise OSError(5, "injected")

    disk.before = fail
    assert not await storage.upkeep.compact(worn)
    disk.before = lambda name, path: None
    assert everything(storage, worn) == expected
    assert worn.generation == 1
    assert not (data_dir / f"{worn.path}.new").exists()
    await append(storage, worn, "still takes writes")
    assert await storage.upkeep.compact(worn)


async def test_a_damaged_log_is_not_compacted(
    storage: Storage, worn: ThreadLog, data_dir: Path
) -> None:
    path = data_dir / worn.path
    content = bytearray(path.read_bytes())
    content[worn.index.offsets[0] + 100] ^= 1
    path.write_bytes(bytes(content))
    assert not await storage.upkeep.compact(worn)
    assert path.read_bytes() == bytes(content)


async def test_frames_of_the_former_generation_are_skipped_at_recovery(
    storage: Storage, worn: ThreadLog, opened: list[Storage], options: Options, tmp_path: Path
) -> None:
    assert await storage.upkeep.compact(worn)
    await append(storage, worn, "after")
    expected = everything(storage, worn)
    there = crashed(options.data_dir, tmp_path / "there")
    again = await Storage.open(replace(options, data_dir=there))
    opened.append(again)
    log = await again.open_thread(ORG, thread_id(1))
    assert everything(again, log) == expected
    assert not again.recovered.faults


async def test_a_log_with_much_that_is_dead_is_compacted_by_itself(
    data_dir: Path, opened: list[Storage]
) -> None:
    options = Options(data_dir=data_dir, journal_segment_bytes=1 << 20, compact_dead_bytes=10_000)
    storage = await Storage.open(options)
    opened.append(storage)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(n, "x" * 1000) for n in range(1, 41)])
    for sequence in range(1, 36):
        await delete(storage, log, sequence)
        storage.tend(log)
    async with asyncio.timeout(20):
        while log.generation == 1 or log.compacting:
            await asyncio.sleep(0.001)
    assert list(log.index.keys) == [36, 37, 38, 39, 40]


async def test_the_reaper_removes_files_of_deleted_threads_when_their_time_has_come(
    data_dir: Path, opened: list[Storage]
) -> None:
    now = 1_000_000.0
    options = Options(data_dir=data_dir, journal_segment_bytes=1 << 20, reap_seconds=100)
    storage = await Storage.open(options, time_of_day=lambda: now)
    opened.append(storage)
    catalog = await storage.open_catalog(ORG)
    kept = await created(storage, catalog, 1)
    gone = await created(storage, catalog, 2)
    data = b'{"id":"%b","deleted_at":%d}' % (thread_id(2).encode(), now)
    await commit(storage, catalog.remove(catalog.next_number, data))
    storage.upkeep.bury(ORG, thread_id(2), int(now))
    assert await storage.upkeep.reap() == 0, "a copy may be under way"
    now += 101
    assert await storage.upkeep.reap() == 0, "the journal still names it"
    await storage.upkeep.checkpoint()
    assert await storage.upkeep.reap() == 1
    assert (data_dir / kept.path).exists()
    assert not (data_dir / gone.path).exists()
    assert list(check(data_dir)) == []


async def test_threads_deleted_in_a_former_life_are_reaped_too(
    data_dir: Path, opened: list[Storage]
) -> None:
    options = Options(data_dir=data_dir, journal_segment_bytes=1 << 20, reap_seconds=0)
    storage = await Storage.open(options, time_of_day=lambda: 5.0)
    catalog = await storage.open_catalog(ORG)
    await created(storage, catalog, 1)
    data = b'{"id":"%b","deleted_at":1}' % thread_id(1).encode()
    await commit(storage, catalog.remove(catalog.next_number, data))
    await storage.close()
    assert (data_dir / thread_path(ORG, thread_id(1))).exists()
    again = await Storage.open(options)
    opened.append(again)
    async with asyncio.timeout(20):
        while (data_dir / thread_path(ORG, thread_id(1))).exists():
            await asyncio.sleep(0.001)


async def test_a_damaged_log_is_tried_again_only_when_it_has_doubled(
    storage: Storage, worn: ThreadLog, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = worn.end
    data = bytearray((data_dir / worn.path).read_bytes())
    data[700] ^= 1
    (data_dir / worn.path).write_bytes(data)
    monkeypatch.setattr(storage.upkeep, "_is_worn", lambda log: True)
    tries = []
    for _ in range(30):
        await append(storage, worn, "x" * 400)
        storage.tend(worn)
        tries.append(worn.compacting)
        await until(lambda: not worn.compacting)
    assert worn.end > 2 * size
    assert tries[0]
    assert sum(tries) == 2


async def test_the_reaper_keeps_few_graves_in_mind_and_removes_all_the_same(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.reaper.GRAVES_MAX", 2)
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    for number in range(7):
        await created(storage, catalog, number, [message(1)])
        stone = b'{"id":"%b","deleted_at":%d}' % (thread_id(number).encode(), number)
        await commit(storage, catalog.remove(catalog.next_number, stone))
        if number > 3:
            storage.upkeep.bury(ORG, thread_id(number), number)
    await storage.upkeep.checkpoint()
    assert await storage.upkeep.reap(now=True) == 7
    assert list(options.data_dir.glob("orgs/*/threads/*/*.jsonl")) == []
    await storage.close()


async def test_a_rewrite_takes_nothing_of_the_reserve_and_says_so_once(
    storage: Storage,
    worn: ThreadLog,
    disk: FragileDisk,
    options: Options,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk.free = options.disk_reserve_bytes + worn.index.live_bytes - 1
    for _ in range(3):
        assert not await storage.upkeep.compact(worn)
    assert disk.count("open", f"{worn.path}.new") == 0
    (record,) = [each for each in caplog.records if "was not compacted" in each.getMessage()]
    assert "reserve" in record.getMessage()
    disk.free += 1
    assert await storage.upkeep.compact(worn)
