"""A log that was cut where a line ends looks whole; what its index knows of is not forgotten."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from storage import CatalogLog, DamagedRecord, Options, RecordLog, Storage, ThreadLog
from storage.check import check
from storage.datadir import catalog_path, thread_path
from storage.record import encode
from storage.repair import repair
from tests.storage.conftest import SEGMENT_BYTES
from tests.storage.samples import (
    ORG,
    append,
    commit,
    copied,
    crashed,
    create,
    created,
    message,
    read,
    thread,
    thread_id,
    until,
)

LOG = thread_path(ORG, thread_id(1))
CATALOG = catalog_path(ORG)
INDEX = LOG.replace(".jsonl", ".idx")


@pytest.fixture(autouse=True)
def short_logs_have_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sidecars.SIDECAR_RECORDS", 3)


async def indexed(storage: Storage, log: RecordLog) -> None:
    """Let a log's index be written."""
    storage.leave(log)
    await until(lambda: storage.disk.exists(log.sidecar_path) and not log.saving)


@pytest.fixture
async def whole(options: Options) -> Path:
    """A directory at rest: three threads; the first has six messages, of which 5 is deleted."""
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(each) for each in (1, 2, 3)])
    for _ in range(3):
        await append(storage, log)
    await commit(storage, log.remove(5, b'{"id":"%b"}' % message(5)[7:43]))
    for number in (2, 3):
        await created(storage, catalog, number, [message(1)])
    await indexed(storage, log)
    await indexed(storage, catalog)
    await storage.close()
    assert found(options.data_dir) == []
    return options.data_dir


def found(data_dir: Path) -> list[tuple[str, int | None]]:
    return [(each.path, each.offset) for each in check(data_dir)]


def cut_to_lines(data_dir: Path, path: str, count: int, more: int = 0) -> int:
    """Leave a log's header and so many lines; return its size."""
    kept = (data_dir / path).read_bytes().splitlines(keepends=True)[: 1 + count]
    size = sum(map(len, kept)) + more
    os.truncate(data_dir / path, size)
    return size


async def opened(data_dir: Path) -> Storage:
    return await Storage.open(Options(data_dir, journal_segment_bytes=SEGMENT_BYTES))


async def served(storage: Storage, log: RecordLog) -> dict[int, bytes | None]:
    answers: dict[int, bytes | None] = {}
    for key in log.index.keys:
        try:
            (answers[key],) = await read(storage, log, [log.place(key) or (0, 0, 0)])
        except DamagedRecord as error:
            assert error.path == log.path and error.offset is not None
            assert error.key == (key if isinstance(log, ThreadLog) else None)
            answers[key] = None
    return answers


@pytest.mark.parametrize("more", [0, 1, 70, 128])
@pytest.mark.parametrize("count", [0, 1, 4])
async def test_what_was_cut_off_a_thread_is_an_error_and_the_rest_is_served(
    whole: Path, count: int, more: int
) -> None:
    size = cut_to_lines(whole, LOG, count, more)
    for _ in range(2):
        assert found(whole) == [(LOG, size if more in (0, 128) else size - more)]
        storage = await opened(whole)
        log = await storage.open_thread(ORG, thread_id(1))
        left = count + (more == 128)
        expected = {key: message(key) if key <= left else None for key in (1, 2, 3, 4, 6)}
        assert await served(storage, log) == expected
        with pytest.raises(DamagedRecord, match="lost"):
            await append(storage, log)
        storage.leave(log)
        await storage.close()
    assert (whole / INDEX).exists(), "it knows more than the log"


async def test_a_repair_accepts_the_loss_and_gives_no_number_again(whole: Path) -> None:
    cut_to_lines(whole, LOG, 2)
    deeds = list(
        repair(
            whole, journal_segment_bytes=SEGMENT_BYTES, new_entry=lambda org, its: b"{}", now=0.0
        )
    )
    assert any("LOST" in deed.text and deed.path == LOG for deed in deeds)
    assert found(whole) == []
    storage = await opened(whole)
    log = await storage.open_thread(ORG, thread_id(1))
    assert log.next_sequence == 7
    await append(storage, log)
    assert list(log.index.keys) == [1, 2, 7]
    await storage.close()


async def test_threads_that_were_cut_off_a_catalogue_are_errors(whole: Path) -> None:
    size = cut_to_lines(whole, CATALOG, 1)
    assert (CATALOG, size) in found(whole)
    storage = await opened(whole)
    catalog = await storage.open_catalog(ORG)
    keys = [CatalogLog.key(0, thread(number)) for number in (1, 2, 3)]
    assert await served(storage, catalog) == {keys[0]: thread(1), keys[1]: None, keys[2]: None}
    with pytest.raises(DamagedRecord, match="lost"):
        create(storage, catalog, 4)
    await storage.close()


async def test_an_index_that_is_ahead_of_what_a_crash_left_of_its_log_is_no_damage(
    options: Options, tmp_path: Path
) -> None:
    storage = await Storage.open(options)
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    for _ in range(4):
        await append(storage, log)
    await indexed(storage, log)
    there = crashed(options.data_dir, tmp_path / "there")
    await storage.close()
    cut_to_lines(there, LOG, 1)  # The journal holds the rest.
    assert found(there) == []
    again = await opened(there)
    assert len(await served(again, await again.open_thread(ORG, thread_id(1)))) == 5
    assert again.recovered.faults == []
    await again.close()


async def test_an_index_that_is_ahead_of_its_log_in_a_copy_is_how_far_the_copying_had_come(
    whole: Path, tmp_path: Path
) -> None:
    there = copied(whole, tmp_path / "copy")
    cut_to_lines(there, LOG, 4)
    assert found(there) == []
    storage = await opened(there)
    log = await storage.open_thread(ORG, thread_id(1))
    await append(storage, log)
    assert list(log.index.keys) == [1, 2, 3, 4, 5]
    await storage.close()


async def test_another_threads_index_is_not_believed(whole: Path) -> None:
    other = thread_path(ORG, thread_id(2))
    shutil.copy(whole / INDEX, whole / other.replace(".jsonl", ".idx"))
    with (whole / other).open("ab") as file:
        file.write(encode("m", 2, message(2, "another")))
    storage = await opened(whole)
    log = await storage.open_thread(ORG, thread_id(2))
    assert await served(storage, log) == {1: message(1), 2: message(2, "another")}
    await storage.close()


async def test_a_log_that_lost_its_end_is_not_rewritten(whole: Path, options: Options) -> None:
    cut_to_lines(whole, LOG, 4)
    storage = await Storage.open(replace(options, compact_dead_bytes=1, compact_dead_ratio=0.01))
    log = await storage.open_thread(ORG, thread_id(1))
    assert not await storage.upkeep.compact(log)
    assert log.generation == 1
    await storage.close()
