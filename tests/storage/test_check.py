"""`check` names every damage by path and offset, and changes nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from storage import DataDirUnusable, Options, Storage
from storage.check import check
from storage.datadir import catalog_path, thread_path
from storage.record import encode
from storage.segment import BATCHES_AT, Header, pack_batch
from storage.segment_file import segment_path
from tests.storage.samples import (
    ORG,
    append,
    commit,
    copied,
    crashed,
    created,
    message,
    only_id,
    thread,
    thread_id,
    tree,
)

CATALOG = catalog_path(ORG)
LOG = thread_path(ORG, thread_id(1))


@pytest.fixture
async def sound(options: Options) -> Path:
    """A directory at rest with every kind of record in it."""
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(each) for each in range(1, 6)])
    await created(storage, catalog, 2, [message(1)])
    await created(storage, catalog, 3)
    await commit(storage, log.replace(2, message(2, "newer")))
    await commit(storage, log.remove(3, only_id(message(3))))
    await append(storage, log, "last")
    await commit(storage, catalog.replace(catalog.next_number, thread(2, "title")))
    await commit(storage, catalog.remove(catalog.next_number, only_id(thread(3))))
    await storage.close()
    key = encode("k", 1, b'{"hash":"00"}')
    (options.data_dir / "keys.jsonl").write_bytes(key + encode("z", 1, b'{"hash":"00"}'))
    return options.data_dir


def found(data_dir: Path) -> list[tuple[str, int]]:
    before = tree(data_dir)
    damages = list(check(data_dir))
    assert tree(data_dir) == before, "it changes nothing"
    assert all(each.reason and each.hint for each in damages)
    return [(each.path, each.offset) for each in damages]


def starts(data_dir: Path, path: str) -> list[int]:
    """Where the lines of a file begin, and its end."""
    places = [0]
    for line in (data_dir / path).read_bytes().splitlines(keepends=True):
        places.append(places[-1] + len(line))
    return places


def flip(data_dir: Path, path: str, offset: int) -> None:
    with (data_dir / path).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes((byte[0] ^ 1,)))


def test_a_sound_directory_has_no_damage(sound: Path) -> None:
    assert found(sound) == []


def test_its_progress_ends_when_all_is_read(sound: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert list(check(sound, lambda done, total: seen.append((done, total)))) == []
    total = sum(path.stat().st_size for path in sound.rglob("*.jsonl"))
    deleted = (sound / thread_path(ORG, thread_id(3))).stat().st_size
    assert seen[-1] in ((total, total), (total - deleted, total))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("path", [CATALOG, LOG, "keys.jsonl"])
def test_every_damaged_line_is_named_where_it_begins(sound: Path, path: str) -> None:
    places = starts(sound, path)
    for start, end in pairwise(places):
        for offset in (start, start + 3, start + 30, start + 68, end - 2):
            flip(sound, path, offset)
            assert (path, start) in found(sound), offset - start
            flip(sound, path, offset)
    assert found(sound) == []


def test_every_byte_of_a_threads_file_counts(sound: Path) -> None:
    places = starts(sound, LOG)
    start = places[2]
    for offset in range(start, places[3]):
        flip(sound, LOG, offset)
        assert {path for path, _ in check_quickly(sound)} == {LOG}, offset - start
        flip(sound, LOG, offset)


def check_quickly(data_dir: Path) -> list[tuple[str, int]]:
    return [(each.path, each.offset) for each in check(data_dir)]


def test_a_file_that_is_gone_is_named(sound: Path) -> None:
    (sound / LOG).unlink()
    assert found(sound) == [(LOG, 0)]


def test_a_file_that_no_catalogue_lists_is_named(sound: Path) -> None:
    stranger = thread_path(ORG, thread_id(77))
    (sound / stranger).write_bytes((sound / LOG).read_bytes())
    assert found(sound) == [(stranger, 0)]


def test_a_file_that_is_another_threads_is_named(sound: Path) -> None:
    (sound / LOG).write_bytes((sound / thread_path(ORG, thread_id(2))).read_bytes())
    assert (LOG, 0) in found(sound)


def test_a_file_that_ends_in_the_middle_of_a_line_is_named(sound: Path) -> None:
    *_, last, end = starts(sound, LOG)
    with (sound / LOG).open("r+b") as file:
        file.truncate(end - 1)
    assert found(sound) == [(LOG, last)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (encode("t", 9, thread(9)), "kind"),
        (encode("m", 9, message(8)), "sequence"),
        (encode("m", 2, message(2)), "order"),
        (encode("m", 9, b'{"no":"id"}'), "id"),
    ],
)
def test_a_sound_line_that_has_no_business_there_is_named(
    sound: Path, line: bytes, words: str
) -> None:
    end = starts(sound, LOG)[-1]
    with (sound / LOG).open("ab") as file:
        file.write(line)
    (damage,) = check(sound)
    assert (damage.path, damage.offset) == (LOG, end)
    assert words in damage.reason


def test_a_catalogue_that_is_gone_is_named_by_its_threads(sound: Path) -> None:
    (sound / CATALOG).unlink()
    assert {path for path, _ in found(sound)} == {
        path for path in tree(sound) if "/threads/" in path
    }


def test_a_segment_that_is_gone_or_has_no_header_is_named(sound: Path) -> None:
    (sound / "journal/2.wal").unlink()
    flip(sound, "journal/0.wal", 9)
    assert found(sound) == [("journal/2.wal", 0)], "it stands in the segment twice"
    flip(sound, "journal/0.wal", 512 + 9)
    assert found(sound) == [("journal/0.wal", 0), ("journal/2.wal", 0)]


async def test_beside_a_running_server_nothing_is_taken_for_damage(
    storage: Storage, options: Options
) -> None:
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    await append(storage, log)
    assert found(options.data_dir) == []


async def test_a_hole_that_a_power_cut_left_in_what_the_journal_holds_is_no_damage(
    storage: Storage, options: Options, tmp_path: Path
) -> None:
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    await storage.upkeep.checkpoint()
    durable = log.end
    for _ in range(12):
        await append(storage, log)
    there = crashed(options.data_dir, tmp_path / "there")
    with (there / LOG).open("r+b") as file:
        file.seek(durable + 100)
        file.write(bytes(512))
    assert found(there) == []
    await (await Storage.open(Options(there, journal_segment_bytes=256 * 1024))).close()
    assert found(there) == []
    flip(there, LOG, durable - 20)
    assert [path for path, _ in found(there)] == [LOG]


async def test_what_the_journal_mends_is_no_damage_and_what_it_cannot_is(
    storage: Storage, options: Options, tmp_path: Path
) -> None:
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    for _ in range(3):
        await append(storage, log)
    there = crashed(options.data_dir, tmp_path / "there")
    size = (there / LOG).stat().st_size
    with (there / LOG).open("r+b") as file:
        file.truncate(size - 30)
    assert found(there) == []
    await (await Storage.open(Options(there, journal_segment_bytes=256 * 1024))).close()
    assert found(there) == []
    with (there / LOG).open("r+b") as file:
        file.truncate(size - 30)
    assert len(found(there)) == 1


def test_the_unfinished_ends_of_a_copy_are_no_damage(sound: Path, tmp_path: Path) -> None:
    copy = copied(sound, tmp_path / "copy")
    (copy / thread_path(ORG, thread_id(2))).unlink()
    end = starts(copy, LOG)[-1]
    with (copy / LOG).open("r+b") as file:
        file.truncate(end - 20)
    assert found(copy) == []
    flip(copy, LOG, 200)
    assert [path for path, _ in found(copy)] == [LOG]


@pytest.mark.parametrize("name", ["", "meta.json"])
def test_what_is_no_data_directory_is_refused(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).write_text('{"format":99,"created_at":1,"lock_inode":1}')
    with pytest.raises(DataDirUnusable) as refused:
        list(check(tmp_path))
    assert refused.value.hint


def test_threads_that_are_made_and_deleted_meanwhile_are_no_damage(sound: Path) -> None:
    new, old = (sound / thread_path(ORG, thread_id(number)) for number in (9, 2))
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) != 2:  # The keys and the catalogue.
            return
        with (sound / CATALOG).open("ab") as file:
            file.write(encode("t", 9, thread(9)) + encode("y", 10, only_id(thread(2))))
        new.parent.mkdir(exist_ok=True)
        new.write_bytes(encode("h", 0, b'{"id":"%b","org":"acme"}' % thread_id(9).encode()))
        old.unlink()

    assert list(check(sound, progress)) == []
    assert not old.exists()
    new.unlink()
    assert [each.path for each in check(sound)] == [thread_path(ORG, thread_id(9))]


def journal_of(data_dir: Path, number: int, header: Header, *batches: int) -> None:
    data = header.pack().ljust(BATCHES_AT, b"\0") + b"".join(
        pack_batch(header.use, each, []) for each in batches
    )
    (data_dir / segment_path(number)).write_bytes(data)


def test_a_hole_in_the_journal_is_named_but_in_a_copy_that_met_it_so(
    sound: Path, tmp_path: Path
) -> None:
    journal_of(sound, 0, Header(91, True, 5, 4), 5, 7)
    assert [each.reason for each in check(sound)] == ["batch 6 is missing"]
    assert found(copied(sound, tmp_path / "copy")) == []


def test_batches_that_a_failed_write_left_behind_are_void(sound: Path) -> None:
    journal_of(sound, 0, Header(91, True, 5, 4), 5, 8)
    journal_of(sound, 1, Header(92, True, 6, 5), 6, 7)
    assert found(sound) == []


def test_a_directory_without_a_lock_is_a_copy(sound: Path) -> None:
    (sound / "lock").unlink()
    (sound / LOG).unlink()
    assert found(sound) == []
