"""A copy of a data directory, taken file by file while the server ran, and its first start."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from storage import Options, Storage, ThreadLog
from storage.check import check
from storage.datadir import Meta, catalog_path, thread_path
from storage.durable import Disk
from storage.recovery import recover
from tests.storage.samples import (
    ORG,
    append,
    commit,
    copied,
    created,
    message,
    only_id,
    read_all,
    thread,
    thread_id,
    tree,
    until,
)

Start = Callable[..., Awaitable[Storage]]


@pytest.fixture
async def start(options: Options) -> AsyncIterator[Start]:
    opened: list[Storage] = []

    async def start_on(there: Path) -> Storage:
        storage = await Storage.open(replace(options, data_dir=there))
        opened.append(storage)
        return storage

    yield start_on
    for storage in opened:
        await storage.close()


@pytest.fixture
async def copy(options: Options, tmp_path: Path) -> Path:
    """Three threads of three messages, made durable; the copy's journal holds nothing of them."""
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    for number in (1, 2, 3):
        await created(storage, catalog, number, [message(each) for each in (1, 2, 3)])
    await storage.close()
    return copied(options.data_dir, tmp_path / "copy")


async def titles(storage: Storage) -> list[str]:
    found = await read_all(storage, await storage.open_catalog(ORG))
    return [json.loads(data)["id"] for data in found]


async def test_a_whole_copy_is_taken_as_it_is(copy: Path, start: Start) -> None:
    before = {path: data for path, data in tree(copy).items() if path.startswith("orgs")}
    storage = await start(copy)
    after = {path: data for path, data in tree(copy).items() if path.startswith("orgs")}
    assert after == before
    assert await titles(storage) == [thread_id(number) for number in (1, 2, 3)]


async def test_a_copy_is_adopted_once_and_is_an_original_from_then_on(copy: Path) -> None:
    await (await Storage.open(Options(copy, journal_segment_bytes=256 * 1024))).close()
    meta = json.loads((copy / "meta.json").read_text())
    assert meta["lock_inode"] == (copy / "lock").stat().st_ino
    (copy / thread_path(ORG, thread_id(2))).unlink()
    again = await Storage.open(Options(copy, journal_segment_bytes=256 * 1024))
    assert thread_id(2) in await titles(again), "in an original a missing file is damage"
    await again.close()


async def test_a_thread_whose_file_was_not_there_yet_is_taken_out(
    copy: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    (copy / thread_path(ORG, thread_id(2))).unlink()
    storage = await start(copy)
    assert await titles(storage) == [thread_id(1), thread_id(3)]
    assert "1 threads were not whole" in caplog.text
    assert thread_id(2) in caplog.text
    assert list(check(copy)) == []


async def test_a_file_whose_thread_is_not_listed_yet_is_removed(
    copy: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy / catalog_path(ORG)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    storage = await start(copy)
    assert await titles(storage) == [thread_id(1), thread_id(2)]
    assert not (copy / thread_path(ORG, thread_id(3))).exists()
    assert thread_id(3) in caplog.text
    assert list(check(copy)) == []


@pytest.mark.parametrize("place", ["header", "first", "last"])
async def test_a_thread_whose_create_was_passed_half_way_is_taken_out(
    copy: Path, start: Start, place: str
) -> None:
    path = copy / thread_path(ORG, thread_id(2))
    lines = path.read_bytes().splitlines(keepends=True)
    kept = {"header": lines[0][:30], "first": lines[0] + lines[1], "last": b"".join(lines)[:-1]}
    path.write_bytes(kept[place])
    storage = await start(copy)
    assert await titles(storage) == [thread_id(1), thread_id(3)]
    assert list(check(copy)) == []


async def test_an_append_that_was_passed_half_way_is_cut_and_kept_beside(
    options: Options, tmp_path: Path, start: Start
) -> None:
    storage = await Storage.open(options)
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    size = log.end
    await append(storage, log)
    await storage.close()
    copy = copied(options.data_dir, tmp_path / "copy")
    path = copy / log.path
    path.write_bytes(path.read_bytes()[:-7])
    again = await start(copy)
    found = await again.open_thread(ORG, thread_id(1))
    assert await read_all(again, found) == [message(1)]
    assert path.stat().st_size == size
    assert (copy / f"{log.path}.torn-{size}").exists()
    await append(again, found, "goes on")
    assert list(check(copy)) == []


async def test_a_catalogue_that_was_passed_in_the_middle_of_a_line_is_cut(
    copy: Path, start: Start
) -> None:
    path = copy / catalog_path(ORG)
    path.write_bytes(path.read_bytes()[:-9])
    storage = await start(copy)
    assert await titles(storage) == [thread_id(1), thread_id(2)]
    assert list(check(copy)) == []


async def test_a_deleted_thread_stays_deleted_in_a_copy(
    options: Options, tmp_path: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    for number in (1, 2):
        await created(storage, catalog, number)
    await commit(storage, catalog.remove(catalog.next_number, only_id(thread(1))))
    copy = copied(options.data_dir, tmp_path / "copy")
    await storage.close()
    with caplog.at_level("INFO"):
        again = await start(copy)
    assert await titles(again) == [thread_id(2)]
    (record,) = [each for each in caplog.records if thread_id(1) in each.getMessage()]
    assert record.levelname == "INFO" and "deleted thread" in record.getMessage()
    assert again.recovered.removed == 1


async def test_derived_files_of_a_copy_are_made_anew(copy: Path, start: Start) -> None:
    (copy / f"orgs/{ORG}/catalog.idx").write_bytes(b"of another moment")
    stale = copy / thread_path(ORG, thread_id(1)).replace(".jsonl", ".idx.new")
    stale.write_bytes(b"half")
    await start(copy)
    assert not (copy / f"orgs/{ORG}/catalog.idx").exists()
    assert not stale.exists()


async def test_adopting_twice_comes_to_the_same(copy: Path, tmp_path: Path) -> None:
    (copy / thread_path(ORG, thread_id(1))).unlink()
    path = copy / catalog_path(ORG)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    once, twice = copied(copy, tmp_path / "once"), copied(copy, tmp_path / "twice")
    (twice / "meta.json").write_bytes(b"the second start sees a copy again")
    one, other = (Options(each, journal_segment_bytes=256 * 1024) for each in (once, twice))
    await (await Storage.open(one, time_of_day=lambda: 5.0)).close()
    meta = (copy / "meta.json").read_bytes()
    for _ in range(2):
        (twice / "meta.json").write_bytes(meta)
        storage = await Storage.open(other, time_of_day=lambda: 5.0)
        await storage.close()
    found, expected = (
        {path: data for path, data in tree(each).items() if path.startswith("orgs")}
        for each in (twice, once)
    )
    assert found == expected


async def test_a_damaged_catalogue_in_a_copy_costs_no_thread_its_file(
    copy: Path, start: Start
) -> None:
    path = copy / catalog_path(ORG)
    data = bytearray(path.read_bytes())
    lines = bytes(data).splitlines(keepends=True)
    data[len(lines[0]) + 80] ^= 1
    path.write_bytes(data)
    await start(copy)
    assert len(list(copy.glob("orgs/*/threads/*/*.jsonl"))) == 3


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5])
async def test_a_copy_in_any_order_of_folders_holds_all_that_was_acknowledged_before_it(
    storage: Storage, tmp_path: Path, start: Start, order: int
) -> None:
    """Between any two files that are copied the server goes on writing to every thread."""
    catalog = await storage.open_catalog(ORG)
    log_of: dict[str, ThreadLog] = {}
    for number in range(4):
        log = await created(storage, catalog, number, [message(1)])
        log_of[thread_id(number)] = log
    for log in log_of.values():
        await append(storage, log, "x" * 3000)
    before = {name: len(log.index) for name, log in log_of.items()}
    there = tmp_path / "copy"
    files = sorted(
        path for path in storage.disk.root.rglob("*") if path.is_file() and path.name != "lock"
    )
    files = (
        files[order:] + files[:order] if order % 2 else files[::-1][order:] + files[::-1][:order]
    )
    made = 10
    for path in [storage.disk.root / "lock", *files]:
        target = there / path.relative_to(storage.disk.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        made += 1
        log_of[thread_id(made)] = await created(storage, catalog, made, [message(1)])
        for log in log_of.values():
            await append(storage, log, "x" * 3000)

    again = await start(there)
    assert again.recovered.faults == []
    listed = await titles(again)
    assert set(before) <= set(listed) <= set(log_of)
    for name in listed:
        found = await read_all(again, await again.open_thread(ORG, name))
        written = await read_all(storage, log_of[name])
        assert found == written[: len(found)]
        assert len(found) >= before.get(name, 1)
    assert list(check(there)) == []
    assert recover(Disk(there), is_copy=False).faults == []


async def test_a_copy_on_another_file_system_is_one_though_inode_numbers_agree(
    storage: Storage, data_dir: Path
) -> None:
    meta = msgspec.json.decode((data_dir / "meta.json").read_bytes(), type=Meta)
    lock = data_dir / "lock"
    assert meta.file_system == os.statvfs(lock).f_fsid
    assert not meta.is_copied(lock)
    elsewhere = msgspec.structs.replace(meta, file_system=meta.file_system ^ 1 or 2)
    assert elsewhere.is_copied(lock)


@pytest.mark.parametrize("kept", [None, 0, 1, 30])
async def test_a_catalogue_that_tells_nothing_in_a_copy_costs_no_thread_its_file(
    copy: Path, start: Start, caplog: pytest.LogCaptureFixture, kept: int | None
) -> None:
    path = copy / catalog_path(ORG)
    if kept is None:
        path.unlink()
    else:
        header = path.read_bytes().splitlines(keepends=True)[0]
        path.write_bytes(header[:kept] if kept != 1 else header)
    before = sorted(copy.glob("orgs/*/threads/*/*.jsonl"))
    await start(copy)
    assert sorted(copy.glob("orgs/*/threads/*/*.jsonl")) == before
    assert [each for each in caplog.records if "3 files" in each.getMessage()]


async def test_what_a_copy_takes_out_was_deleted_when_it_was_started(copy: Path) -> None:
    (copy / thread_path(ORG, thread_id(2))).unlink()
    options = Options(copy, journal_segment_bytes=256 * 1024)
    await (await Storage.open(options, time_of_day=lambda: 1234.5)).close()
    last = (copy / catalog_path(ORG)).read_bytes().splitlines()[-1]
    assert json.loads(last)["d"] == {"id": thread_id(2), "deleted_at": 1234}


async def test_a_log_that_a_copy_passed_before_it_was_made_comes_back_in_one_generation(
    options: Options, start: Start, tmp_path: Path
) -> None:
    """The journal that was copied last has frames of the log before and after a compaction."""
    storage = await start(options.data_dir)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(each, "x" * 99) for each in (1, 2, 3)])
    await commit(storage, log.remove(1, only_id(message(1))))
    saved: list[int | None] = []
    storage.upkeep.shrink(log, saved.append, now=True)
    await until(lambda: saved)
    assert saved[0] and log.generation == 2
    await append(storage, log, "behind the compaction")
    there = copied(options.data_dir, tmp_path / "copy")
    (there / log.path).unlink()

    again = await start(there)
    opened = await again.open_thread(ORG, thread_id(1))
    assert opened.generation == 1
    assert await read_all(again, opened) == [message(each, "x" * 99) for each in (2, 3)]
    assert list(check(there)) == []
