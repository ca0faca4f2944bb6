"""What a commit costs, in which order it happens, and what it does not write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from storage import NoRoom, Options, Storage, WriteRefused
from storage.batch import BATCH_BYTES_MAX, BATCH_LINES_MAX
from storage.datadir import catalog_path
from storage.segment import BATCHES_AT, Batch, Header, batches
from tests.storage.conftest import SEGMENT_BYTES
from tests.storage.fragile_disk import FragileDisk, Held
from tests.storage.samples import (
    ORG,
    append,
    commit,
    create,
    created,
    message,
    read,
    read_all,
    thread_id,
    tree,
    until,
)


def batches_of(disk: FragileDisk, number: int = 0) -> list[Batch]:
    data = disk.read_file(f"journal/{number}.wal")
    header = Header.unpack(data[:BATCHES_AT])
    assert header is not None
    return list(batches(data, header.use))


async def test_sixty_four_units_at_once_cost_one_sync(storage: Storage) -> None:
    catalog = await storage.open_catalog(ORG)
    logs = [await created(storage, catalog, number) for number in range(64)]
    before = storage.disk.syncs
    await asyncio.gather(*[append(storage, log) for log in logs])
    assert storage.disk.syncs - before == 1


async def test_units_handed_in_during_a_write_share_the_next_one(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    disk.before = held = Held("batch")
    first = append(storage, log, "first")
    await until(held.reached.is_set)
    rest = [append(storage, log, str(place)) for place in range(20)]
    before = disk.count("batch")
    held.let_go()
    await asyncio.gather(first, *rest)
    assert disk.count("batch") - before == 1
    found = [data.split(b'"')[7] for data in await read_all(storage, log)]
    assert found == [b"first", *[str(place).encode() for place in range(20)]]


async def test_the_journal_is_durable_before_a_file_is_touched_and_both_before_the_answer(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    path = disk.root / log.path
    size = path.stat().st_size

    disk.before = held = Held("batch")
    answer = append(storage, log)
    await until(held.reached.is_set)
    assert (path.stat().st_size, answer.done()) == (size, False)
    disk.before = held_too = Held("write", suffix=log.path)
    held.let_go()
    await until(held_too.reached.is_set)
    assert (path.stat().st_size, answer.done()) == (size, False)
    assert batches_of(disk)[-1].frames[-1].path == log.path
    assert log.index.find(1) is None, "readers see only what is committed"
    held_too.let_go()
    await answer
    assert path.stat().st_size == log.end > size
    assert log.index.find(1) == 0


async def test_a_create_with_its_messages_and_its_catalogue_line_is_one_batch(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)
    turns = [message(sequence) for sequence in range(1, 31)]
    before = storage.disk.syncs
    log = await created(storage, catalog, 1, turns)
    assert storage.disk.syncs - before <= 2, "the segment's header, once, and the batch"
    (batch,) = batches_of(disk)
    assert {frame.path for frame in batch.frames} == {log.path, catalog_path(ORG)}
    assert await read_all(storage, log) == turns


async def test_a_batch_holds_no_more_than_its_lines(storage: Storage, disk: FragileDisk) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    disk.before = held = Held("batch")
    first = append(storage, log, "first")
    await until(held.reached.is_set)
    rest = [append(storage, log) for _ in range(BATCH_LINES_MAX + 1)]
    before = disk.count("batch")
    held.let_go()
    await asyncio.gather(first, *rest)
    assert disk.count("batch") - before == 2
    assert len(log.index) == BATCH_LINES_MAX + 2


async def test_a_batch_holds_no_more_than_its_bytes(
    options: Options, disk: FragileDisk, opened: list[Storage]
) -> None:
    storage = await Storage.open(replace(options, journal_segment_bytes=16 << 20), disk)
    opened.append(storage)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    disk.before = held = Held("batch")
    first = append(storage, log, "first")
    await until(held.reached.is_set)
    size = BATCH_BYTES_MAX // 4
    rest = [append(storage, log, "x" * size) for _ in range(5)]
    assert storage.pending_bytes > 5 * size
    held.let_go()
    await asyncio.gather(first, *rest)
    assert storage.pending_bytes == 0
    sizes = [sum(len(frame.data) for frame in batch.frames) for batch in batches_of(disk)]
    assert max(sizes) <= BATCH_BYTES_MAX
    assert sum(each > size for each in sizes) == 2, "three of them fit, then the other two"


async def test_a_batch_is_never_longer_than_a_segment(storage: Storage, disk: FragileDisk) -> None:
    catalog = await storage.open_catalog(ORG)
    logs = [await created(storage, catalog, number) for number in range(60)]
    await asyncio.gather(*[append(storage, log, "x" * 10_000) for log in logs])
    for number in range(4):
        assert (disk.root / f"journal/{number}.wal").stat().st_size == SEGMENT_BYTES
    for log in logs:
        assert len(await read_all(storage, log)) == 1


async def test_without_room_nothing_is_written_and_reads_go_on(
    storage: Storage, disk: FragileDisk, options: Options
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(1)])
    before = tree(disk.root)
    disk.free = options.disk_reserve_bytes
    with pytest.raises(NoRoom, match="reserve") as refused:
        await append(storage, log)
    assert refused.value.hint
    assert storage.trouble is not None
    assert tree(disk.root) == before
    assert await read_all(storage, log) == [message(1)]

    disk.free = None
    await append(storage, log, "again")
    assert storage.trouble is None
    assert len(log.index) == 2, "the number that was not used is used now"


async def test_what_was_planned_on_top_of_a_refused_write_is_refused_too(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    disk.free, disk.before = 0, (held := Held("free_bytes"))
    first = append(storage, log, "a")
    await until(held.reached.is_set)
    behind = append(storage, log, "b")
    held.let_go()
    with pytest.raises(NoRoom):
        await first
    with pytest.raises(WriteRefused):
        await behind
    assert log.pending == log.pending_adds == 0
    disk.free = None
    await append(storage, log, "c")
    assert [data[-4:-2] for data in await read_all(storage, log)] == [b'"c']


async def test_a_file_system_that_does_not_answer_is_refused_before_anything_is_written(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)

    def hook(call: str, path: str) -> int | None:
        if call == "free_bytes":
            raise OSError("gone")
        return None

    before = tree(disk.root)
    disk.before = hook
    _, answer = create(storage, catalog, 1)
    with pytest.raises(WriteRefused, match="does not answer"):
        await answer
    assert tree(disk.root) == before
    disk.before = lambda call, path: None
    await created(storage, catalog, 1)
    assert [data[7:46].decode() for data in await read_all(storage, catalog)] == [thread_id(1)]


@pytest.mark.parametrize("slow_call", ["batch", "sync"])
async def test_a_slow_sync_is_logged_with_its_seconds(
    options: Options,
    disk: FragileDisk,
    opened: list[Storage],
    caplog: pytest.LogCaptureFixture,
    slow_call: str,
) -> None:
    seconds = [100.0]

    def slow(call: str, path: str) -> int | None:
        if call == slow_call and (call == "batch" or path.endswith("catalog.jsonl")):
            seconds[0] += 2.5
        return None

    storage = await taken(options, disk, lambda: seconds[0])
    opened.append(storage)
    catalog = await storage.open_catalog(ORG)
    caplog.set_level(logging.WARNING)
    await created(storage, catalog, 1)
    assert "sync" not in caplog.text
    disk.before = slow
    await created(storage, catalog, 2)
    opened.remove(storage)
    await storage.close()
    assert "sync took 2.500 s" in caplog.text


async def test_closing_answers_what_is_queued(options: Options, disk: FragileDisk) -> None:
    storage = await Storage.open(options, disk)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1)
    disk.before = held = Held("batch")
    first = append(storage, log, "a")
    await until(held.reached.is_set)
    rest = [append(storage, log, "b") for _ in range(9)]
    closing = asyncio.create_task(storage.close())
    held.let_go()
    await closing
    assert [each.exception() for each in (first, *rest)] == [None] * 10


async def test_a_log_that_ends_in_a_torn_line_takes_no_more(
    storage: Storage, disk: FragileDisk
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(1)])
    with (disk.root / log.path).open("ab") as file:
        file.write(b'{"c":"torn')
    log = await storage.open_thread(ORG, thread_id(1))
    assert log.torn
    line = log.add(log.next_sequence, message(2))
    with pytest.raises(Exception, match="middle of a line"):
        commit(storage, line)
    assert log.pending == 0
    assert await read(storage, log, log.places(range(1))) == [message(1)]


async def taken(options: Options, disk: FragileDisk, clock: Callable[[], float]) -> Storage:
    storage = await Storage.take(options, disk, executors=ThreadPoolExecutor, clock=clock)
    await storage.start()
    return storage
