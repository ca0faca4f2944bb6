"""What is dead leaves the disk when it is asked to: from the logs, and from the journal."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from storage import CatalogLog, Options, Storage, ThreadLog, WriteRefused
from storage.check import check
from storage.segment_file import SEGMENTS, segment_path
from tests.storage.fragile_disk import FragileDisk, Held, failing
from tests.storage.samples import (
    ORG,
    append,
    commit,
    created,
    message,
    only_id,
    read_all,
    thread_id,
    until,
)

SECRET = "what nobody may read any more"


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


@pytest.fixture
async def log(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    """A thread with a message that was deleted."""
    made = await created(storage, catalog, 1, [message(1), message(2, SECRET), message(3)])
    await commit(storage, made.remove(2, only_id(message(2))))
    return made


def holding(data_dir: Path, text: str = SECRET) -> list[str]:
    return sorted(
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    )


async def shrunk(storage: Storage, log: ThreadLog | CatalogLog, *, now: bool) -> int | None:
    told: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    storage.upkeep.shrink(log, told.set_result, now=now)
    return await told


async def test_a_deleted_text_is_nowhere_after_its_log_was_rewritten_and_the_journal_cleared(
    storage: Storage, log: ThreadLog, data_dir: Path
) -> None:
    assert holding(data_dir) == ["journal/0.wal", log.path]
    before = await read_all(storage, log)
    assert (await shrunk(storage, log, now=True) or 0) > 0
    await storage.upkeep.checkpoint()
    await storage.upkeep.clear_journal()
    assert holding(data_dir) == []
    await append(storage, log, "later")
    assert (await read_all(storage, log))[:-1] == before
    assert list(check(data_dir)) == []


async def test_a_journal_is_cleared_though_it_is_written_to_all_the_time(
    storage: Storage, log: ThreadLog, data_dir: Path
) -> None:
    await shrunk(storage, log, now=True)
    stop = False
    written = 0

    async def write() -> None:
        nonlocal written
        while not stop:
            await append(storage, log, f"during {written}")
            written += 1

    writing = asyncio.create_task(write())
    await until(lambda: written > 10)
    await storage.upkeep.clear_journal()
    assert holding(data_dir) == []
    so_far = written
    await until(lambda: written > so_far)
    stop = True
    await writing
    assert len(await read_all(storage, log)) == 2 + written


async def test_a_segment_that_is_being_cleared_takes_no_batch(
    storage: Storage,
    log: ThreadLog,
    disk: FragileDisk,
    data_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await storage.upkeep.checkpoint()
    disk.before = (clearing := Held("write", suffix="1.wal"))
    cleared = asyncio.create_task(storage.upkeep.clear_journal())
    await until(clearing.reached.is_set)
    disk.before = lambda call, path: None
    waiting = append(storage, log, "goes into the next segment, which is 1")
    await until(lambda: "writes wait" in caplog.text)
    assert not waiting.done()
    clearing.let_go()
    await cleared
    await waiting
    assert holding(data_dir) == [log.path], "only the thread's own file was not rewritten"


async def test_of_two_clearings_at_once_neither_lets_go_what_the_other_holds(
    storage: Storage, log: ThreadLog, disk: FragileDisk
) -> None:
    await storage.upkeep.checkpoint()
    clearing, again = Held("write", suffix="0.wal"), Held("write", suffix="0.wal")
    disk.before = clearing
    first = asyncio.create_task(storage.upkeep.clear_journal())
    second = asyncio.create_task(storage.upkeep.clear_journal())
    await until(clearing.reached.is_set)
    await append(storage, log, "time for the second to come to the same segment")
    disk.before = again
    clearing.let_go()
    await until(again.reached.is_set)
    await append(storage, log, "time for the first to let it go")
    assert storage._journal.is_held(0), "a batch would be written there, and zeros upon it"
    again.let_go()
    await asyncio.gather(first, second)


async def test_a_journal_that_cannot_be_cleared_says_so_and_takes_writes(
    storage: Storage, log: ThreadLog, disk: FragileDisk
) -> None:
    await storage.upkeep.checkpoint()
    disk.before = failing("sync", suffix="2.wal", code=errno.EIO)
    with pytest.raises(OSError, match="this disk fails"):
        await storage.upkeep.clear_journal()
    disk.before = lambda call, path: None
    for number in range(2 * SEGMENTS):
        await append(storage, log, str(number))
        await storage.upkeep.checkpoint()
    await storage.upkeep.clear_journal()
    assert not any(segment_path(each) in holding(disk.root) for each in range(SEGMENTS))


async def test_a_segment_that_is_never_free_is_told(
    storage: Storage, log: ThreadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_early() -> None:
        """A checkpoint behind which somebody writes at once."""

    await append(storage, log)
    monkeypatch.setattr(storage.upkeep, "checkpoint", too_early)
    with pytest.raises(WriteRefused, match="always in use"):
        await storage.upkeep.clear_journal()


async def test_without_haste_only_a_worn_log_is_rewritten(storage: Storage, log: ThreadLog) -> None:
    assert await shrunk(storage, log, now=False) == 0
    assert log.generation == 1
    assert await shrunk(storage, log, now=True)
    assert await shrunk(storage, log, now=True) == 0, "nothing is dead any more"


async def test_a_log_that_is_being_rewritten_is_looked_at_again_afterwards(
    storage: Storage, log: ThreadLog, disk: FragileDisk, data_dir: Path
) -> None:
    disk.before = (copying := Held("sync", suffix=".new"))
    first = asyncio.create_task(storage.upkeep.compact(log))
    await until(copying.reached.is_set)
    second = asyncio.create_task(shrunk(storage, log, now=True))
    await asyncio.sleep(0)
    copying.let_go()
    assert await first
    assert await second == 0
    assert log.generation == 2


async def test_damage_among_what_is_dead_keeps_a_log_from_being_rewritten(
    storage: Storage, log: ThreadLog, data_dir: Path
) -> None:
    path = data_dir / log.path
    content = path.read_bytes().replace(SECRET.encode(), SECRET.upper().encode())
    path.write_bytes(content)
    assert await shrunk(storage, log, now=True) is None
    assert path.read_bytes() == content


async def test_files_of_all_deleted_threads_go_at_once_but_those_that_the_journal_names(
    storage: Storage, log: ThreadLog, catalog: CatalogLog, data_dir: Path
) -> None:
    data = b'{"id":"%b","deleted_at":9999999999}' % thread_id(1).encode()
    await commit(storage, catalog.remove(catalog.next_number, data))
    storage.upkeep.bury(ORG, thread_id(1), 9_999_999_999)
    assert await storage.upkeep.reap(now=True) == 0
    await storage.upkeep.checkpoint()
    assert await storage.upkeep.reap(now=True) == 1
    assert not (data_dir / log.path).exists()


async def test_threads_deleted_in_a_former_life_are_among_them(
    data_dir: Path, options: Options, opened: list[Storage]
) -> None:
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    await created(storage, catalog, 1, [message(1, SECRET)])
    data = b'{"id":"%b","deleted_at":9999999999}' % thread_id(1).encode()
    await commit(storage, catalog.remove(catalog.next_number, data))
    await storage.close()
    again = await Storage.open(options)
    opened.append(again)
    assert await again.upkeep.reap(now=True) == 1
    await again.upkeep.clear_journal()
    assert holding(data_dir) == []


async def test_files_that_cannot_be_removed_are_told_and_tried_again(
    storage: Storage, log: ThreadLog, catalog: CatalogLog, disk: FragileDisk, data_dir: Path
) -> None:
    data = b'{"id":"%b","deleted_at":1}' % thread_id(1).encode()
    await commit(storage, catalog.remove(catalog.next_number, data))
    storage.upkeep.bury(ORG, thread_id(1), 9_999_999_999)
    await storage.upkeep.checkpoint()
    (data_dir / log.path).unlink()
    (data_dir / log.path).mkdir()
    with pytest.raises(OSError, match="files of 1 deleted threads"):
        await storage.upkeep.reap(now=True)
    (data_dir / log.path).rmdir()
    assert await storage.upkeep.reap(now=True) == 1


async def test_what_lies_in_the_data_directory_is_told(
    storage: Storage, log: ThreadLog, data_dir: Path
) -> None:
    (data_dir / "orgs/.DS_Store").write_bytes(b"")
    (data_dir / f"{log.path}.torn-7").write_bytes(b"")
    (data_dir / f"{log.path}.damaged-7").write_bytes(b"")
    assert await storage.upkeep.organisations() == [ORG]
    assert [each async for each in storage.upkeep.thread_ids(ORG)] == [[thread_id(1)]]
    assert await storage.upkeep.count_aside() == 2
