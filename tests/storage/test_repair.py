"""Repair keeps all that is readable, lays the rest aside, and brings nothing deleted back."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import DamagedRecord, DataDirInUse, DataDirUnusable, LogHeader, Options, Storage
from storage.check import check
from storage.datadir import catalog_path, lock, thread_path
from storage.record import DATA_AT, encode
from storage.repair import repair
from storage.salvage import Deed
from storage.segment import FREED_AT
from tests.storage.conftest import SEGMENT_BYTES
from tests.storage.samples import (
    ORG,
    all_places,
    append,
    commit,
    copied,
    crashed,
    created,
    message,
    only_id,
    read,
    read_all,
    thread,
    thread_id,
    tree,
)

CATALOG = catalog_path(ORG)
LOG = thread_path(ORG, thread_id(1))
OTHER = thread_path(ORG, thread_id(2))
TEXT = "long enough to be no tombstone, as every real message is: " + "x" * 200


def text(sequence: int) -> bytes:
    return message(sequence, f"{sequence} {TEXT}")


def entry(org: str, its_id: str) -> bytes:
    return b'{"id":"%b","title":"made by repair"}' % its_id.encode()


@pytest.fixture
async def worn(options: Options) -> Path:
    """A directory at rest: threads 1 to 3, of which 3 is deleted; thread 1 has had changes."""
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [text(each) for each in range(1, 7)])
    await created(storage, catalog, 2, [text(1)])
    await created(storage, catalog, 3, [text(1)])
    await commit(storage, log.replace(2, message(2, f"newer {TEXT}")))
    await commit(storage, log.remove(3, only_id(message(3))))
    await append(storage, log, f"7 {TEXT}")
    await commit(storage, catalog.replace(catalog.next_number, thread(2, f"title {TEXT}")))
    await commit(storage, catalog.remove(catalog.next_number, only_id(thread(3))))
    await storage.close()
    return options.data_dir


def repaired(data_dir: Path) -> list[Deed]:
    """What a repair does; afterwards all is sound, and a second one does nothing."""
    deeds = list(
        repair(data_dir, journal_segment_bytes=SEGMENT_BYTES, new_entry=entry, now=1_750_000_000)
    )
    assert list(check(data_dir)) == []
    before = tree(data_dir)
    again = repair(data_dir, journal_segment_bytes=SEGMENT_BYTES, new_entry=entry, now=1)
    assert list(again) == []
    assert tree(data_dir) == before
    return deeds


class Served:
    """What a server reads after a repair."""

    def __init__(self, messages: list[bytes], threads: list[bytes], next_sequence: int) -> None:
        self.messages, self.threads, self.next_sequence = messages, threads, next_sequence


async def served(data_dir: Path, number: int = 1) -> Served:
    storage = await Storage.open(Options(data_dir, journal_segment_bytes=SEGMENT_BYTES))
    try:
        log = await storage.open_thread(ORG, thread_id(number))
        catalog = await storage.open_catalog(ORG)
        return Served(
            await read_all(storage, log), await read_all(storage, catalog), log.next_sequence
        )
    finally:
        await storage.close()


ALL = [text(1), message(2, f"newer {TEXT}"), *(text(each) for each in (4, 5, 6, 7))]
THREADS = [thread(1), thread(2, f"title {TEXT}")]


def starts(data_dir: Path, path: str) -> list[int]:
    places = [0]
    for line in (data_dir / path).read_bytes().splitlines(keepends=True):
        places.append(places[-1] + len(line))
    return places


def change(data_dir: Path, path: str, alter: Callable[[bytearray], object]) -> bytes:
    content = bytearray((data_dir / path).read_bytes())
    alter(content)
    (data_dir / path).write_bytes(content)
    return bytes(content)


def flip(data_dir: Path, path: str, offset: int) -> bytes:
    def alter(content: bytearray) -> None:
        content[offset] ^= 1

    return change(data_dir, path, alter)


async def test_a_sound_directory_stays_as_it_is(worn: Path) -> None:
    before = tree(worn)
    assert repaired(worn) == []
    assert tree(worn) == before


@pytest.mark.parametrize("place", [0, 3, 28, 40, 55, DATA_AT + 11, DATA_AT + 60, -2, -1])
async def test_a_damaged_message_is_laid_aside_and_all_others_keep_their_place(
    worn: Path, place: int
) -> None:
    places = starts(worn, LOG)
    start, end = places[4], places[5]  # Message 4.
    content = flip(worn, LOG, start + place if place >= 0 else end + place)
    deeds = repaired(worn)
    assert (LOG, start) in [(deed.path, deed.offset) for deed in deeds]
    kept = worn / f"{LOG}.damaged-{start}"
    assert kept.read_bytes() == content[start:end]
    found = await served(worn)
    assert found.messages == [each for each in ALL if each != text(4)]
    assert found.next_sequence == 8
    assert found.threads == THREADS


async def test_the_number_of_a_damaged_last_message_is_not_given_out_again(worn: Path) -> None:
    *_, start, end = starts(worn, LOG)
    flip(worn, LOG, start + 80)
    repaired(worn)
    found = await served(worn)
    assert found.messages == ALL[:-1]
    assert found.next_sequence == 8
    assert (worn / f"{LOG}.damaged-{start}").stat().st_size == end - start


async def test_numbers_lost_in_a_hole_at_the_end_are_not_given_out_again(worn: Path) -> None:
    places = starts(worn, LOG)

    def alter(content: bytearray) -> None:
        content[places[5] :] = bytes(len(content) - places[5])

    change(worn, LOG, alter)
    repaired(worn)
    found = await served(worn)
    assert found.messages == [text(1), text(2), text(3), text(4)]
    assert found.next_sequence >= 8


@pytest.mark.parametrize("place", [3, 28, 40, 55, DATA_AT + 40, -1])
async def test_a_message_that_a_damaged_line_may_have_deleted_does_not_come_back(
    worn: Path, place: int
) -> None:
    places = starts(worn, LOG)
    tombstone, end = places[8], places[9]
    assert b'"k":"x"' in (worn / LOG).read_bytes()[tombstone:end]
    flip(worn, LOG, tombstone + place if place >= 0 else end + place)
    repaired(worn)
    found = await served(worn)
    assert found.messages == ALL
    assert text(3) in (worn / f"{LOG}.damaged-{places[3]}").read_bytes()


async def test_a_damaged_change_leaves_the_version_before_it(worn: Path) -> None:
    places = starts(worn, LOG)
    flip(worn, LOG, places[7] + 100)
    repaired(worn)
    assert (await served(worn)).messages == [text(1), text(2), *ALL[2:]]


async def test_a_message_whose_first_version_is_damaged_is_kept_in_its_newer_one(
    worn: Path,
) -> None:
    flip(worn, LOG, starts(worn, LOG)[2] + 100)
    repaired(worn)
    assert (await served(worn)).messages == ALL


async def test_a_header_is_made_anew_from_the_files_name(worn: Path) -> None:
    header = starts(worn, LOG)[1]
    content = flip(worn, LOG, 70)
    repaired(worn)
    found = await served(worn)
    assert (found.messages, found.next_sequence) == (ALL, 8)
    assert (worn / f"{LOG}.damaged-0").read_bytes() == content[:header]


async def test_a_torn_end_is_cut_off_and_kept(worn: Path) -> None:
    *_, start, end = starts(worn, LOG)
    change(worn, LOG, lambda content: content.__delitem__(slice(end - 20, None)))
    repaired(worn)
    found = await served(worn)
    assert (found.messages, found.next_sequence) == (ALL[:-1], 8)
    assert (worn / f"{LOG}.damaged-{start}").stat().st_size == end - 20 - start


async def test_a_sound_line_that_has_no_business_there_is_laid_aside(worn: Path) -> None:
    line = encode("m", 2, text(2))
    change(worn, LOG, lambda content: content.extend(line))
    repaired(worn)
    assert (await served(worn)).messages == ALL


async def test_a_listed_thread_without_a_file_is_served_empty(worn: Path) -> None:
    (worn / LOG).unlink()
    deeds = repaired(worn)
    assert "THE FILE IS GONE" in deeds[0].text
    found = await served(worn)
    assert (found.messages, found.threads) == ([], THREADS)


async def test_a_file_that_is_another_threads_is_laid_aside_whole(worn: Path) -> None:
    foreign = (worn / OTHER).read_bytes()
    (worn / LOG).write_bytes(foreign)
    repaired(worn)
    assert (await served(worn)).messages == []
    assert (worn / f"{LOG}.damaged-0").read_bytes() == foreign
    assert (await served(worn, 2)).messages == [text(1)]


async def test_a_thread_whose_entry_is_damaged_is_listed_again(worn: Path) -> None:
    start = starts(worn, CATALOG)[1]
    line = encode("t", 1, thread(1, "x" * 200))
    change(worn, CATALOG, lambda content: content.__setitem__(slice(start, start), line))
    flip(worn, CATALOG, start + 100)
    second = start + len(line)
    flip(worn, CATALOG, second + 3)  # Its only sound entry: its key is told, its kind believed.
    repaired(worn)
    found = await served(worn)
    assert found.threads[-1] == THREADS[1]
    assert found.messages == ALL


async def test_a_file_that_no_catalogue_lists_is_listed_in_its_place(worn: Path) -> None:
    path = thread_path(ORG, thread_id(0))
    header = LogHeader(id=thread_id(0), org=ORG)
    (worn / path).write_bytes(
        encode("h", 0, b'{"id":"%b","org":"acme"}' % header.id.encode()) + encode("m", 1, text(1))
    )
    repaired(worn)
    found = await served(worn, 0)
    assert found.threads == [entry(ORG, thread_id(0)), *THREADS]
    assert found.messages == [text(1)]


@pytest.mark.parametrize("content", [b"", b"no log at all\n"])
async def test_a_file_of_which_nothing_is_readable_is_not_listed(
    worn: Path, content: bytes
) -> None:
    path = thread_path(ORG, thread_id(5))
    (worn / path).write_bytes(content)
    repaired(worn)
    assert (await served(worn)).threads == THREADS
    assert (worn / f"{path}.damaged-0").read_bytes() == content


async def test_a_thread_that_a_damaged_line_may_have_deleted_does_not_come_back(
    worn: Path,
) -> None:
    *_, start, _end = starts(worn, CATALOG)
    assert b'"k":"y"' in (worn / CATALOG).read_bytes()[start:]
    flip(worn, CATALOG, start + 3)
    gone = thread_path(ORG, thread_id(3))
    content = (worn / gone).read_bytes()
    repaired(worn)
    assert (await served(worn)).threads == THREADS
    assert (worn / f"{gone}.damaged-0").read_bytes() == content


async def test_a_catalogue_that_is_gone_is_made_from_the_threads_files(worn: Path) -> None:
    (worn / CATALOG).unlink()
    repaired(worn)
    found = await served(worn)
    assert [each[7:46].decode() for each in found.threads] == [thread_id(n) for n in (1, 2, 3)]
    assert found.messages == ALL


async def test_a_catalogue_without_a_header_keeps_its_entries(worn: Path) -> None:
    flip(worn, CATALOG, 5)
    repaired(worn)
    assert (await served(worn)).threads == THREADS


async def test_a_repaired_catalogue_still_knows_whose_files_wait_for_their_removal(
    worn: Path,
) -> None:
    change(worn, CATALOG, lambda content: content.extend(b"garbage\n"))
    repaired(worn)
    assert (worn / thread_path(ORG, thread_id(3))).exists()
    assert (await served(worn)).threads == THREADS


@pytest.mark.parametrize("name", ["1.wal", "2.wal"])
async def test_segments_that_are_gone_or_unreadable_are_made_anew(worn: Path, name: str) -> None:
    (worn / "journal" / name).unlink()
    flip(worn, "journal/0.wal", 9)
    content = flip(worn, "journal/0.wal", FREED_AT + 9)
    repaired(worn)
    assert (worn / "journal/0.wal.damaged-0").read_bytes() == content
    assert (await served(worn)).messages == ALL


async def test_a_data_directory_whose_meta_file_is_gone_gets_another(worn: Path) -> None:
    (worn / "meta.json").unlink()
    repaired(worn)
    assert (await served(worn)).messages == ALL


async def test_derived_files_that_fit_nothing_go(worn: Path) -> None:
    for path in (f"{LOG}.new", LOG.replace(".jsonl", ".idx"), f"orgs/{ORG}/threads/07/other.idx"):
        (worn / path).write_bytes(b"junk")
    assert len(repaired(worn)) == 3
    assert (await served(worn)).messages == ALL


async def test_a_copy_is_adopted_and_its_damage_repaired(worn: Path, tmp_path: Path) -> None:
    copy = copied(worn, tmp_path / "copy")
    (copy / OTHER).unlink()
    flip(copy, LOG, starts(copy, LOG)[4] + 80)
    repaired(copy)
    found = await served(copy)
    assert found.messages == [each for each in ALL if each != text(4)]
    assert found.threads == THREADS[:1], "the copying had not come to the other one's file"


async def test_a_copy_without_a_catalogue_keeps_its_threads(worn: Path, tmp_path: Path) -> None:
    copy = copied(worn, tmp_path / "copy")
    (copy / CATALOG).unlink()
    repaired(copy)
    assert (await served(copy)).messages == ALL


async def test_what_the_journal_holds_is_done_before_anything_is_judged(
    options: Options, storage: Storage, tmp_path: Path
) -> None:
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [text(1)])
    await append(storage, log, TEXT)
    there = crashed(options.data_dir, tmp_path / "there")
    change(there, LOG, lambda content: content.__delitem__(slice(-40, None)))
    assert repaired(there) == []
    assert len((await served(there)).messages) == 2


def test_a_directory_in_use_is_left_alone(worn: Path) -> None:
    held = lock(worn)
    try:
        with pytest.raises(DataDirInUse):
            repaired(worn)
    finally:
        os.close(held)


@pytest.mark.parametrize("name", ["", "meta.json"])
def test_what_is_no_data_directory_or_a_newer_one_is_refused(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).write_text('{"format":99,"created_at":1,"lock_inode":1}')
    before = tree(tmp_path)
    with pytest.raises(DataDirUnusable):
        repaired(tmp_path)
    assert {path for path in tree(tmp_path) if path != "lock"} == set(before)


async def test_what_is_left_of_a_deletion_is_enough_to_know_what_it_deleted(worn: Path) -> None:
    places = starts(worn, LOG)

    def alter(content: bytearray) -> None:
        content[places[8] + 48 : places[9]] = bytes(places[9] - places[8] - 48)

    change(worn, LOG, alter)
    deeds = repaired(worn)
    assert "A DELETION STOOD THERE" in deeds[0].text
    assert "message 3 may have been deleted" in deeds[1].text
    assert text(3) not in (await served(worn)).messages


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_is_damaged_a_repair_makes_it_sound_and_brings_nothing_deleted_back(
    worn: Path, seed: int
) -> None:
    chance = random.Random(seed)
    paths = [CATALOG, LOG, OTHER, "journal/1.wal"]
    for _ in range(chance.randint(1, 4)):
        path = worn / chance.choice(paths)
        content = bytearray(path.read_bytes() if path.exists() else b"")
        start = chance.randrange(len(content) or 1)
        match chance.choice(["flip", "zeros", "cut", "gone", "doubled"]):
            case "flip" if content:
                content[start] ^= 1 << chance.randrange(8)
            case "zeros":
                content[start : start + chance.randint(1, 600)] = bytes(chance.randint(1, 600))
            case "cut":
                del content[start:]
            case "gone":
                path.unlink(missing_ok=True)
                continue
            case "doubled":
                content += content[start:]
        path.write_bytes(content)
    # Where the tombstone itself is gone without a trace, nobody can know of it.
    known = (
        b'"k":"x","s":"0000000003"' in (worn / LOG).read_bytes() if (worn / LOG).exists() else False
    )
    repaired(worn)
    storage = await Storage.open(Options(worn, journal_segment_bytes=SEGMENT_BYTES))
    try:
        catalog = await storage.open_catalog(ORG)
        for data in await read_all(storage, catalog):
            log = await storage.open_thread(ORG, data[7:46].decode())
            messages = await read_all(storage, log)
            assert not (known and log.path == LOG and text(3) in messages)
            await append(storage, log, f"goes on {TEXT}")
            assert len(await read_all(storage, log)) == len(messages) + 1
    finally:
        await storage.close()
    assert list(check(worn)) == []


async def test_a_thread_of_a_copy_whose_header_is_damaged_is_damage_and_not_half_a_thread(
    worn: Path, tmp_path: Path
) -> None:
    copy = copied(worn, tmp_path / "copy")
    flip(copy, LOG, 70)
    storage = await Storage.open(Options(copy, journal_segment_bytes=SEGMENT_BYTES))
    try:
        catalog = await storage.open_catalog(ORG)
        assert await read_all(storage, catalog) == THREADS
        with pytest.raises(DamagedRecord):
            await storage.open_thread(ORG, thread_id(1))
    finally:
        await storage.close()
    repaired(copy)
    assert (await served(copy)).messages == ALL


def test_what_does_not_belong_among_the_organisations_is_left_alone(worn: Path) -> None:
    (worn / "orgs/.DS_Store").write_bytes(b"x")
    (worn / "orgs/lost+found").mkdir()
    assert list(check(worn)) == []
    assert repaired(worn) == []


async def test_an_entry_without_an_id_is_damage(worn: Path) -> None:
    end = starts(worn, CATALOG)[-1]
    change(worn, CATALOG, lambda content: content.extend(encode("t", 9, b'{"no":"id at all"}')))
    assert [(each.path, each.offset) for each in check(worn)] == [(CATALOG, end)]
    repaired(worn)
    assert (await served(worn)).threads == THREADS


async def test_what_a_recovery_could_not_place_stops_writes_until_a_repair(
    options: Options, tmp_path: Path
) -> None:
    storage = await Storage.open(options)
    log = await created(storage, await storage.open_catalog(ORG), 1, [text(1)])
    keep = log.end
    await append(storage, log)
    await storage.upkeep.checkpoint()
    for _ in range(2):
        await append(storage, log)
    there = crashed(options.data_dir, tmp_path / "there")
    await storage.close()
    os.truncate(there / LOG, keep)
    for _ in range(2):
        again = await Storage.open(Options(there, journal_segment_bytes=SEGMENT_BYTES))
        log = await again.open_thread(ORG, thread_id(1))
        assert await read(again, log, all_places(log)[:1]) == [text(1)]
        for key in (2, 3, 4):
            with pytest.raises(DamagedRecord) as damaged:
                await read(again, log, [log.place(key) or (0, 0, 0)])
            assert damaged.value.key == key
        with pytest.raises(DamagedRecord, match="lost"):
            await append(again, log)
        assert not await again.upkeep.compact(log)
        await again.close()
        assert [(each.path, each.reason[:5]) for each in check(there)] == [(LOG, "lines")]
    assert any("LOST" in deed.text for deed in repaired(there))
    again = await Storage.open(Options(there, journal_segment_bytes=SEGMENT_BYTES))
    log = await again.open_thread(ORG, thread_id(1))
    assert log.next_sequence == 5
    await append(again, log)
    assert len(await read_all(again, log)) == 2
    await again.close()
