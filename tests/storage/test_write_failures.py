"""Writes that fail: who is told what, what is kept from being written, and how it goes on."""

from __future__ import annotations

import asyncio
import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from storage import CatalogLog, Options, Storage, ThreadLog, WriteFailed, WriteRefused
from storage.checkpoint import WHOLE_FILES
from storage.segment import BATCHES_AT, Header, batches
from tests.storage.conftest import SEGMENT_BYTES
from tests.storage.fragile_disk import FragileDisk, Held, failing
from tests.storage.samples import (
    ORG,
    SECONDS_MAX,
    append,
    crashed,
    created,
    message,
    read_all,
    thread_id,
    until,
)


def allow(call: str, path: str) -> int | None:
    """Let everything happen."""
    return None


def header_of(disk: FragileDisk, number: int) -> Header | None:
    return Header.unpack(disk.read_file(f"journal/{number}.wal")[:BATCHES_AT])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again what failed a hundred times sooner than a server would."""
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("storage.checkpoint.RETRY_SECONDS", 0.01)


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


@pytest.fixture
async def log(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    return await created(storage, catalog, 1, [message(1)])


def texts(found: list[bytes]) -> list[str]:
    return [data.split(b'"')[7].decode() for data in found]


async def test_what_nobody_foresaw_on_the_committers_thread_is_told_and_does_not_stop_it(
    storage: Storage, log: ThreadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("storage.batch_writer.BatchWriter.write", lambda *arguments: 1 / 0)
        async with asyncio.timeout(SECONDS_MAX):
            with pytest.raises(WriteFailed, match="ZeroDivisionError"):
                await append(storage, log, "lost")
    assert storage.trouble is not None
    await append(storage, log, "kept")
    assert storage.trouble is None
    assert texts(await read_all(storage, log)) == ["hello", "kept"]


# The journal's own write.


@pytest.mark.parametrize("taken", [None, 0, 100, 512, 700])
async def test_a_journal_write_that_fails_has_an_unknown_outcome_and_touches_no_file(
    storage: Storage, disk: FragileDisk, log: ThreadLog, taken: int | None
) -> None:
    def short(call: str, path: str) -> int | None:
        return taken if call == "batch" else None

    disk.before = failing("batch") if taken is None else short
    before = (disk.root / log.path).read_bytes()
    with pytest.raises(WriteFailed, match="not written") as failed:
        await append(storage, log, "lost")
    assert failed.value.path == "journal/0.wal"
    assert storage.trouble is not None
    assert (disk.root / log.path).read_bytes() == before
    assert texts(await read_all(storage, log)) == ["hello"]


async def test_after_a_failed_journal_write_the_next_batch_is_in_another_segment(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    disk.before = failing("batch")
    with pytest.raises(WriteFailed):
        await append(storage, log, "lost")
    disk.before = held = Held("header")
    answer = append(storage, log, "kept")
    await until(held.reached.is_set)
    assert disk.count("batch", "1.wal") == 0, "the header is made durable first"
    assert not answer.done()
    held.let_go()
    await answer
    assert storage.trouble is None
    (old, new) = header_of(disk, 0), header_of(disk, 1)
    assert old is not None and new is not None
    assert (new.use, new.in_use, new.through, new.first) == (old.use + 1, True, 1, 2)
    assert texts(await read_all(storage, log)) == ["hello", "kept"]


async def test_until_the_next_segment_has_begun_writes_are_refused_and_reads_go_on(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    disk.before = failing("batch", "header")
    with pytest.raises(WriteFailed):
        await append(storage, log, "lost")
    for _ in range(3):
        with pytest.raises(WriteRefused):
            await append(storage, log, "refused")
        assert texts(await read_all(storage, log)) == ["hello"]
    disk.before = allow
    await append(storage, log, "kept")
    assert texts(await read_all(storage, log)) == ["hello", "kept"]


async def test_a_batch_whose_outcome_was_unknown_is_void_at_the_next_start(
    storage: Storage, disk: FragileDisk, log: ThreadLog, options: Options, tmp_path: Path
) -> None:
    def lying(call: str, path: str) -> int | None:
        """The whole batch reaches the disk, and the call says that it did not."""
        return 1 << 30 if call == "batch" else None

    disk.before = lying
    with pytest.raises(WriteFailed):
        await append(storage, log, "void")
    disk.before = allow
    await append(storage, log, "kept")
    data = disk.read_file("journal/0.wal")
    assert [batch.number for batch in batches(data, 1)] == [1, 2], "it does stand there"

    there = crashed(options.data_dir, tmp_path / "after")
    again = await Storage.open(replace(options, data_dir=there))
    kept = await again.open_thread(ORG, thread_id(1))
    assert texts(await read_all(again, kept)) == ["hello", "kept"]
    assert again.recovered.faults == []
    await again.close()


async def test_a_failed_journal_descriptor_is_never_written_or_synced_again(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    disk.before = failing("batch", suffix="0.wal")
    with pytest.raises(WriteFailed):
        await append(storage, log, "lost")
    opens = disk.count("open", "0.wal")
    done = len(disk.calls)
    disk.before = allow
    for _ in range(5):
        await append(storage, log)
    later = disk.calls[done:]
    assert all(path != "journal/0.wal" for call, path in later if call in ("batch", "sync"))
    # Only freeing it, through a descriptor of its own, may write to it: both of its headers.
    headers = [call for call, path in later if path == "journal/0.wal" and call == "header"]
    assert len(headers) <= 2 * (disk.count("open", "0.wal") - opens)


# A file that does not take what the journal holds.


async def test_a_file_that_failed_is_owed_refused_and_repaid(
    storage: Storage, disk: FragileDisk, log: ThreadLog, caplog: pytest.LogCaptureFixture
) -> None:
    disk.before = failing("write", suffix=log.path)
    with pytest.raises(WriteFailed, match="the journal holds what the file does not") as failed:
        await append(storage, log, "owed")
    assert failed.value.path == log.path
    assert log.owed
    with pytest.raises(WriteRefused, match="misses lines"):
        await append(storage, log, "refused")
    assert texts(await read_all(storage, log)) == ["hello"]

    disk.before = allow
    await until(lambda: not log.owed)
    assert storage.trouble is None
    assert "has again all" in caplog.text
    assert texts(await read_all(storage, log)) == ["hello", "owed"], "an unknown outcome: kept"
    await append(storage, log, "next")
    assert texts(await read_all(storage, log)) == ["hello", "owed", "next"]


async def test_a_short_write_to_a_file_is_made_good_before_more_is_written(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    disk.before = lambda call, path: 30 if (call, path) == ("write", log.path) else None
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    disk.before = allow
    await until(lambda: not log.owed)
    await append(storage, log, "next")
    again = await storage.open_thread(ORG, thread_id(1))
    assert not again.torn
    assert texts(await read_all(storage, again)) == ["hello", "owed", "next"]


async def test_what_is_owed_is_written_through_a_fresh_descriptor_and_synced(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    disk.before = failing("write", suffix=log.path)
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    start = len(disk.calls)
    disk.before = allow
    await until(lambda: not log.owed)
    calls = [call for call, path in disk.calls[start:] if path == log.path]
    assert calls[0] == "open" and calls[-1] == "sync"
    assert "write" in calls[1:-1]


async def test_other_units_of_the_batch_are_done_and_what_stood_behind_it_is_refused(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog, log: ThreadLog
) -> None:
    other = await created(storage, catalog, 2)
    disk.before = failing("write", suffix=log.path)
    held = Held("write", suffix=other.path)
    mine, others = append(storage, log, "owed"), append(storage, other, "fine")
    inner = disk.before
    disk.before = lambda call, path: (held(call, path), inner(call, path))[1]
    await until(held.reached.is_set)
    behind = append(storage, other, "behind")
    held.let_go()
    with pytest.raises(WriteFailed):
        await mine
    await others
    with pytest.raises(WriteRefused):
        await behind
    assert texts(await read_all(storage, other)) == ["fine"]
    disk.before = allow
    await until(lambda: not log.owed)
    assert texts(await read_all(storage, log)) == ["hello", "owed"]


async def test_what_is_owed_at_the_end_is_done_at_the_next_start(
    options: Options, disk: FragileDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 3600)
    storage = await Storage.open(options, disk)
    log = await created(storage, await storage.open_catalog(ORG), 1)
    disk.before = failing("write", suffix=log.path)
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    await storage.close()

    again = await Storage.open(options)
    assert again.recovered.faults == []
    kept = await again.open_thread(ORG, thread_id(1))
    assert texts(await read_all(again, kept)) == ["owed"]
    await again.close()


async def test_a_segment_that_owed_lines_stand_in_is_not_used_again(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog, log: ThreadLog
) -> None:
    other = await created(storage, catalog, 2)
    disk.before = failing("write", "open", suffix=log.path)
    with pytest.raises(WriteFailed):
        await append(storage, log, "owed")
    size = SEGMENT_BYTES // 3
    for _ in range(4):
        await append(storage, other, "x" * size)
    first = header_of(disk, 0)
    assert first is not None and (first.use, first.in_use) == (1, True)
    disk.before = allow
    await until(lambda: not log.owed)
    await until(lambda: not (header_of(disk, 0) or first).in_use)
    assert texts(await read_all(storage, log)) == ["hello", "owed"]


# No segment is free.


async def fill(storage: Storage, log: ThreadLog, segments: int) -> None:
    for _ in range(2 * segments):
        await append(storage, log, "x" * (SEGMENT_BYTES // 2 - 8192))


async def test_when_all_segments_are_in_use_writes_wait_for_a_checkpoint(
    storage: Storage, disk: FragileDisk, log: ThreadLog, caplog: pytest.LogCaptureFixture
) -> None:
    disk.before = held = Held("sync", suffix=log.path)
    await fill(storage, log, 3)
    answers = [append(storage, log, "x" * (SEGMENT_BYTES // 2 - 8192)) for _ in range(3)]
    await until(lambda: "writes wait for a checkpoint" in caplog.text)
    assert held.reached.is_set()
    assert not answers[-1].done()
    assert len(await read_all(storage, log)) >= 7, "reads go on"
    held.let_go()
    await asyncio.gather(*answers)
    assert len(log.index) == 10


async def test_writes_that_waited_too_long_for_a_segment_are_refused(
    storage: Storage,
    disk: FragileDisk,
    log: ThreadLog,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("storage.committer.FREE_SEGMENT_SECONDS_MAX", 0.02)
    caplog.set_level(logging.CRITICAL)
    disk.before = failing("sync", suffix=log.path)
    with pytest.raises(WriteRefused):
        await fill(storage, log, 5)
    assert storage.trouble is not None
    committed = len(log.index)
    async with asyncio.timeout(5):
        await storage.settled()
    disk.before = allow
    await until(lambda: not all((header_of(disk, each) or NONE).in_use for each in range(4)))
    await append(storage, log, "last")
    assert len(log.index) == committed + 1
    assert storage.trouble is None


NONE = Header(0, False, 0, 0)


# Checkpoints.


async def test_a_segment_is_free_only_after_its_files_and_directories_are_durable(
    options: Options, disk: FragileDisk
) -> None:
    storage = await Storage.open(options, disk)
    log = await created(storage, await storage.open_catalog(ORG), 1)
    start = len(disk.calls)
    await storage.close()
    calls = disk.calls[start:]
    freed = calls.index(("header", "journal/0.wal"))
    folder = log.path.rpartition("/")[0]
    for done in (
        ("sync", log.path),
        ("sync", f"orgs/{ORG}/catalog.jsonl"),
        ("sync_directory", folder),
        ("sync_directory", folder.rpartition("/")[0]),
        ("sync_directory", f"orgs/{ORG}"),
        ("sync_directory", "orgs"),
    ):
        assert calls.index(done) < freed, done
    directories = [place for place, (call, _) in enumerate(calls) if call == "sync_directory"]
    assert max(directories) < freed
    assert not (header_of(disk, 0) or NONE).in_use


@pytest.mark.parametrize("call", ["sync_directory", "header"])
async def test_a_segment_that_cannot_be_freed_stays_in_use_and_is_tried_again(
    options: Options, disk: FragileDisk, opened: list[Storage], call: str
) -> None:
    storage = await Storage.open(options, disk)
    opened.append(storage)
    log = await created(storage, await storage.open_catalog(ORG), 1)
    await fill(storage, log, 1)

    def hook(name: str, path: str) -> int | None:
        if name == call and path.endswith(("0.wal", f"orgs/{ORG}")):
            raise OSError(errno.EIO, "no")
        return None

    disk.before = hook
    await append(storage, log, "x" * (SEGMENT_BYTES // 2))
    await until(lambda: storage.trouble)
    assert "0.wal cannot be freed" in str(storage.trouble)
    assert (header_of(disk, 0) or NONE).in_use
    disk.before = allow
    await until(lambda: storage.trouble is None)
    assert not (header_of(disk, 0) or NONE).in_use


async def test_a_file_whose_sync_failed_is_written_again_through_a_fresh_descriptor(
    options: Options, disk: FragileDisk, opened: list[Storage]
) -> None:
    storage = await Storage.open(options, disk)
    opened.append(storage)
    log = await created(storage, await storage.open_catalog(ORG), 1)
    await append(storage, log, "one")
    failed: list[str] = []

    def once(call: str, path: str) -> int | None:
        if call == "sync" and path == log.path and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "the pages were dropped")
        return None

    disk.before = once
    start = len(disk.calls)
    await fill(storage, log, 2)
    await until(lambda: failed and not (header_of(disk, 0) or NONE).in_use)
    calls = [call for call, path in disk.calls[start:] if path == log.path]
    after = calls[calls.index("sync") + 1 :]
    again = after[after.index("open") :]
    assert again.index("write") < again.index("sync")
    assert texts(await read_all(storage, log))[0] == "one"


async def test_when_one_call_for_many_files_fails_each_is_synced_and_the_call_never_trusted_again(
    options: Options, disk: FragileDisk
) -> None:
    storage = await Storage.open(options, disk)
    catalog = await storage.open_catalog(ORG)
    logs = [await created(storage, catalog, number) for number in range(WHOLE_FILES)]
    disk.before = failing("sync_everything")
    for expected in ("tried", "not tried"):
        await asyncio.gather(*[append(storage, log) for log in logs])
        start = len(disk.calls)
        await storage.upkeep.checkpoint()
        calls = disk.calls[start:]
        freed = max(place for place, (call, _) in enumerate(calls) if call == "header")
        synced = {path for call, path in calls[:freed] if call == "sync"}
        assert {log.path for log in logs} <= synced
        assert (("sync_everything", "") in calls) == (expected == "tried")
        disk.before = allow
    await storage.close()


async def test_a_checkpoint_of_few_files_waits_for_no_other_programs_bytes(
    options: Options, disk: FragileDisk
) -> None:
    storage = await Storage.open(options, disk)
    catalog = await storage.open_catalog(ORG)
    for number in range(WHOLE_FILES - 2):
        await created(storage, catalog, number)
    await storage.close()
    assert disk.count("sync_everything") == 0


async def test_an_idle_journal_is_settled_when_it_is_old(
    options: Options, disk: FragileDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.TICK_SECONDS", 0.005)
    seconds = [0.0]
    storage = await Storage.take(options, disk, clock=lambda: seconds[0])
    await storage.start()
    await created(storage, await storage.open_catalog(ORG), 1)
    assert (header_of(disk, 0) or NONE).in_use
    seconds[0] = options.checkpoint_seconds + 1
    await until(lambda: not (header_of(disk, 0) or NONE).in_use)
    await storage.close()


async def test_a_segment_with_many_files_is_settled_though_it_is_not_full(
    data_dir: Path, disk: FragileDisk
) -> None:
    options = Options(data_dir, journal_segment_bytes=SEGMENT_BYTES, dirty_files_max=8)
    storage = await Storage.open(options, disk)
    catalog = await storage.open_catalog(ORG)
    for number in range(20):
        await created(storage, catalog, number)
    assert (header_of(disk, 1) or NONE).use == 2
    await storage.close()
