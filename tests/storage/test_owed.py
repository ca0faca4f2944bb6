"""Lines that the journal holds and their file does not: what is served meanwhile, and the cost."""

from __future__ import annotations

import pytest

from storage import CatalogLog, Storage, WriteFailed, WriteRefused
from storage.check import check
from tests.storage.fragile_disk import FragileDisk, failing
from tests.storage.samples import (
    ORG,
    append,
    commit,
    create,
    created,
    message,
    only_id,
    read_all,
    thread,
    thread_id,
    until,
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again what failed a hundred times sooner than a server would."""
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("storage.checkpoint.RETRY_SECONDS", 0.01)


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


async def test_a_log_that_is_owed_lines_is_read_by_who_opens_it_anew(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    log = await created(storage, catalog, 1, [message(1)])
    disk.before = failing("write", suffix=".jsonl")
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    with pytest.raises(WriteFailed):
        await commit(storage, catalog.replace(catalog.next_number, thread(1, "owed")))

    again = await storage.open_thread(ORG, thread_id(1))
    assert await read_all(storage, again) == [message(1)]
    with pytest.raises(WriteRefused):
        await append(storage, again, "refused")
    assert await read_all(storage, await storage.open_catalog(ORG)) == [thread(1)]

    disk.before = lambda call, path: None
    await until(lambda: not (log.owed or catalog.owed))
    assert await read_all(storage, again) == [message(1), message(2, "owed")]
    await append(storage, again, "next")
    assert len(await read_all(storage, await storage.open_thread(ORG, thread_id(1)))) == 3


async def test_of_a_thread_whose_create_is_owed_nothing_is_served_before_it_is_whole(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    disk.before = failing("open", suffix=f"{thread_id(7)}.jsonl")
    log, answer = create(storage, catalog, 7, [message(1), message(2)])
    with pytest.raises(WriteFailed):
        await answer
    with pytest.raises(WriteRefused):
        await storage.open_thread(ORG, thread_id(7))
    disk.before = lambda call, path: None
    await until(lambda: not log.owed)
    again = await storage.open_thread(ORG, thread_id(7))
    assert await read_all(storage, again) == [message(1), message(2)]


async def test_a_catalogue_whose_first_line_is_owed_lists_nothing_yet(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    disk.before = failing("open", suffix="catalog.jsonl")
    _, answer = create(storage, catalog, 1)
    with pytest.raises(WriteFailed):
        await answer
    again = await storage.open_catalog(ORG)
    assert await read_all(storage, again) == []
    disk.before = lambda call, path: None
    await until(lambda: not catalog.owed)
    assert await read_all(storage, again) == [thread(1)]


async def test_the_journal_is_read_once_however_many_files_are_owed(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    logs = [await created(storage, catalog, number) for number in range(20)]
    disk.before = failing("write", suffix="7.jsonl")
    answers = [append(storage, log, "owed") for log in logs]
    for answer in answers:
        with pytest.raises(WriteFailed):
            await answer
    before = disk.count("read", ".wal")
    disk.before = lambda call, path: None
    await until(lambda: not any(log.owed for log in logs))
    assert 0 < disk.count("read", ".wal") - before <= 2, "a file's bytes, and its end"


async def test_what_is_owed_to_a_compacted_log_is_paid_without_the_lines_of_its_past(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    """The journal still holds frames for places in the file that was replaced."""
    log = await created(storage, catalog, 1, [message(1, "x" * 3000)])
    await commit(storage, log.remove(1, only_id(message(1))))
    await append(storage, log, "kept")
    assert await storage.upkeep.compact(log)
    disk.before = failing("write", suffix=".jsonl")
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    disk.before = lambda call, path: None
    await until(lambda: not log.owed)
    assert await read_all(storage, log) == [message(2, "kept"), message(3, "owed")]
    assert list(check(storage.disk.root)) == []
