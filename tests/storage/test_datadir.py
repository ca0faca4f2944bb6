"""A data directory: whose it is, of which format, and who may read it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage import DataDirInUse, DataDirUnusable, Options, Storage
from storage.datadir import FORMAT
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import (
    ORG,
    append,
    crashed,
    created,
    message,
    read_all,
    thread_id,
    tree,
)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


async def test_a_second_opener_is_refused_with_a_hint(storage: Storage, options: Options) -> None:
    before = tree(options.data_dir)
    with pytest.raises(DataDirInUse, match="another server") as refused:
        await Storage.open(options)
    assert refused.value.hint
    assert refused.value.path == str(options.data_dir)
    assert tree(options.data_dir) == before


async def test_a_directory_is_free_again_after_close(options: Options) -> None:
    for _ in range(2):
        await (await Storage.open(options)).close()


async def test_directories_are_0700_and_files_0600_whatever_the_umask(
    options: Options, open_umask: None
) -> None:
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    turns = [message(sequence) for sequence in range(1, 1100)]
    log = await created(storage, catalog, 1, turns[:900])
    for _ in turns[900:]:
        await append(storage, log)
    storage.leave(log)
    await storage.close()
    assert (options.data_dir / log.sidecar_path).exists()
    for path in [options.data_dir, *options.data_dir.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path


async def test_a_new_directory_says_its_format_and_has_a_journal_of_zeros(
    options: Options,
) -> None:
    storage = await Storage.open(options)
    meta = json.loads((options.data_dir / "meta.json").read_text())
    assert meta["format"] == FORMAT
    assert meta["lock_inode"] == (options.data_dir / "lock").stat().st_ino
    for number in range(4):
        path = options.data_dir / f"journal/{number}.wal"
        assert path.read_bytes() == bytes(options.journal_segment_bytes)
        assert path.stat().st_blocks * 512 >= options.journal_segment_bytes, "no holes"
    await storage.close()


async def test_a_new_directory_makes_its_own_names_durable(
    options: Options, disk: FragileDisk
) -> None:
    await (await Storage.open(options, disk)).close()
    calls = [each for each in disk.calls if each[0] in ("sync", "sync_directory")]
    meta = calls.index(("sync", "meta.json.new"))
    assert ("sync_directory", ".") in calls[meta:]
    assert ("sync_directory", "journal") in calls[:meta], "who finds the meta file finds all"
    assert {("sync", f"journal/{number}.wal") for number in range(4)} <= set(calls)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ('{"format":2,"created_at":1,"lock_inode":1}', "format 2"),
        ("{", "unreadable"),
        ("", "unreadable"),
        ('{"format":"1"}', "unreadable"),
    ],
)
async def test_a_directory_of_another_format_is_refused_and_left_alone(
    options: Options, meta: str, words: str
) -> None:
    await (await Storage.open(options)).close()
    (options.data_dir / "meta.json").write_text(meta)
    before = tree(options.data_dir)
    with pytest.raises(DataDirUnusable, match=words) as refused:
        await Storage.open(options)
    assert refused.value.path == "meta.json"
    assert refused.value.hint
    assert tree(options.data_dir) == before


async def test_data_without_a_meta_file_is_refused_and_left_alone(options: Options) -> None:
    storage = await Storage.open(options)
    await created(storage, await storage.open_catalog(ORG), 1)
    await storage.close()
    (options.data_dir / "meta.json").unlink()
    before = tree(options.data_dir)
    with pytest.raises(DataDirUnusable, match=r"no meta\.json"):
        await Storage.open(options)
    assert tree(options.data_dir) == before


async def test_a_first_start_that_died_anywhere_is_made_good_by_the_next(
    options: Options, tmp_path: Path
) -> None:
    counting = FragileDisk(tmp_path / "counted")
    await (await Storage.open(replace(options, data_dir=counting.root), counting)).close()
    names = {"write", "sync", "sync_directory", "open"}
    steps = sum(call in names for call, _ in counting.calls)
    for step in range(1, steps + 1):
        there = tmp_path / f"step-{step}"
        disk = FragileDisk(there)
        seen = 0

        def hook(call: str, path: str, step: int = step) -> int | None:
            nonlocal seen
            seen += call in names
            if seen >= step:
                raise OSError("the power went out")
            return None

        disk.before = hook
        try:
            storage = await Storage.open(replace(options, data_dir=there), disk)
        except OSError:
            pass
        else:
            await storage.close()
        again = await Storage.open(replace(options, data_dir=there))
        await created(again, await again.open_catalog(ORG), 1)
        await again.close()
        shutil.rmtree(there)


@pytest.mark.parametrize("size", [128 * 1024, 512 * 1024])
async def test_segments_take_the_size_that_is_set_and_nothing_is_lost_by_it(
    options: Options, tmp_path: Path, size: int
) -> None:
    storage = await Storage.open(options)
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    for _ in range(20):
        await append(storage, log, "x" * 9000)
    there = crashed(options.data_dir, tmp_path / "there")
    await storage.close()
    for _ in range(2):
        again = await Storage.open(Options(there, journal_segment_bytes=size))
        assert again.recovered.faults == []
        found = await again.open_thread(ORG, thread_id(1))
        assert len(await read_all(again, found)) == 21
        for number in range(4):
            assert (there / f"journal/{number}.wal").stat().st_size == size
        await again.close()


async def test_a_thread_of_another_organisation_has_no_file_to_be_found(
    storage: Storage,
) -> None:
    log = await created(storage, await storage.open_catalog(ORG), 1)
    assert log.path.startswith(f"orgs/{ORG}/threads/{thread_id(1)[-2:]}/")
    assert len((await storage.open_catalog("globex")).index) == 0
    with pytest.raises(Exception, match="missing"):
        await storage.open_thread("globex", thread_id(1))


async def test_an_organisation_that_never_wrote_has_no_folder(
    storage: Storage, options: Options
) -> None:
    await storage.open_catalog(ORG)
    assert list((options.data_dir / "orgs").iterdir()) == []


async def test_a_catalogue_that_is_gone_while_its_threads_are_there_is_damage(
    storage: Storage, options: Options
) -> None:
    await created(storage, catalog := await storage.open_catalog(ORG), 1)
    (options.data_dir / catalog.path).unlink()
    with pytest.raises(Exception, match="the file is missing"):
        await storage.open_catalog(ORG)
