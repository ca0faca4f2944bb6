from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import CatalogLog, Storage, ThreadLog
from storage.index import Index
from storage.sidecar_file import (
    NO_SIDECAR,
    SECTIONS_MAX,
    SIDECAR_RECORDS,
    Extent,
    Sidecar,
    pack,
    unpack,
)
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import (
    ORG,
    append,
    commit,
    created,
    message,
    only_id,
    thread_id,
    until,
)

GENERATION, COVERED, LAST_OFFSET, LAST_LINE = 3, 4567, 4500, b"0badc0de"


def index_of(keys: list[int]) -> Index:
    index = Index()
    add(index, keys)
    return index


def add(index: Index, keys: list[int]) -> None:
    for key in keys:
        index.apply("m", key, 100 * key, 10 + key % 5)


def section(index: Index, behind: Extent = NO_SIDECAR) -> bytes:
    data, _ = pack(
        index,
        generation=GENERATION,
        covered=COVERED,
        last_offset=LAST_OFFSET,
        last_line=LAST_LINE,
        behind=behind,
    ).seal()
    return data


def unpacked(data: bytes) -> Sidecar | None:
    return unpack(lambda length, offset: data[offset : offset + length])


def extent_of(data: bytes) -> Extent:
    sidecar = unpacked(data)
    assert sidecar is not None
    return sidecar.extent


def in_sections(counts: list[int]) -> tuple[Index, list[bytes]]:
    """An index that was written when it had so many entries more, each time."""
    index, sections = Index(), list[bytes]()
    for count in counts:
        add(index, list(range(len(index) + 1, len(index) + 1 + count)))
        behind = extent_of(b"".join(sections)) if sections else NO_SIDECAR
        sections.append(section(index, behind))
    return index, sections


@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_a_sidecar_gives_back_the_index_in_however_many_sections(counts: list[int]) -> None:
    index, sections = in_sections(counts)
    sidecar = unpacked(b"".join(sections))
    assert sidecar is not None
    assert sidecar.index == index
    assert (sidecar.generation, sidecar.covered) == (GENERATION, COVERED)
    assert (sidecar.last_offset, sidecar.last_line) == (LAST_OFFSET, LAST_LINE)
    assert sidecar.extent.sections == len(counts)
    assert sidecar.extent.size == sum(map(len, sections))


def test_what_is_no_entry_is_given_back_as_well() -> None:
    index = index_of([1, 2, 5])
    index.last_key, index.last_ms, index.records = 99, 1_750_000_000_000, 123
    sidecar = unpacked(section(index))
    assert sidecar is not None
    assert sidecar.index == index


@pytest.mark.parametrize("flip", [1, 0x80, 0xFF])
def test_from_a_section_with_any_byte_changed_on_a_sidecar_is_ignored(flip: int) -> None:
    _, sections = in_sections([3, 2, 4])
    ends = [sum(map(len, sections[:count])) for count in range(4)]
    data = b"".join(sections)
    for count, (start, end) in enumerate(pairwise(ends)):
        for place in range(start, end):
            changed = bytearray(data)
            changed[place] ^= flip
            found = unpacked(bytes(changed))
            assert (found.extent.sections if found else 0) == count, place
            assert (found.extent.size if found else 0) == start, place


def test_of_a_sidecar_that_was_cut_what_is_whole_counts_and_garbage_behind_it_does_not() -> None:
    index, sections = in_sections([3, 2])
    data = b"".join(sections)
    for length in range(len(data)):
        found = unpacked(data[:length])
        assert (found.extent.sections if found else 0) == (length >= len(sections[0])), length
    for garbage in (b"\0", bytes(500), sections[0], sections[1]):
        found = unpacked(data + garbage)
        assert found is not None
        assert found.index == index


def test_a_section_goes_behind_the_very_one_that_it_was_written_for() -> None:
    """A crash may leave the third of three sections and lose the second, which is written again."""
    _, (first, second, third) = in_sections([3, 2, 4])
    index = index_of([1, 2, 3])
    add(index, [7, 8])
    other = section(index, extent_of(first))
    assert len(other) == len(second)
    found = unpacked(first + other + third)
    assert found is not None
    assert found.index == index


def test_a_sidecar_of_the_former_format_is_foreign() -> None:
    data = bytearray(section(index_of([1, 2, 3])))
    data[:8] = b"RAGENIX1"
    assert unpacked(bytes(data)) is None


@pytest.mark.parametrize("kind", ["u", "x"])
def test_a_sidecar_takes_a_section_while_nothing_but_adds_came(kind: str) -> None:
    index = index_of([1, 2, 3])
    extent = extent_of(section(index))
    add(index, [4, 5])
    assert extent.takes(index)
    index.apply(kind, 2, 900, 30)
    add(index, [6, 7, 8])
    assert not extent.takes(index)
    assert not NO_SIDECAR.takes(Index())
    assert not extent._replace(sections=SECTIONS_MAX).takes(index_of([1, 2, 3, 4]))


def test_an_entry_takes_twenty_four_bytes_on_disk() -> None:
    small, large = index_of(list(range(1, 101))), index_of(list(range(1, 1101)))
    assert len(section(large)) - len(section(small)) == 1000 * 24


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


async def long_log(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    """A thread that has a sidecar, which covers all of it."""
    log = await created(storage, catalog, 2, [message(each) for each in range(1, 901)])
    for _ in range(SIDECAR_RECORDS - 900):
        await append(storage, log)
    storage.leave(log)
    await until(lambda: not log.saving)
    assert log.sidecar.records == log.index.records
    return log


async def test_a_longer_log_costs_each_append_no_more_bytes_of_its_sidecar(
    storage: Storage,
    disk: FragileDisk,
    catalog: CatalogLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.sidecars.SIDECAR_RECORDS", 16)
    log = await created(storage, catalog, 2, [message(each) for each in range(1, 401)])
    storage.tend(log)
    await until(lambda: not log.saving)
    written = log.sidecar.size
    assert written == (disk.root / log.sidecar_path).stat().st_size
    for _ in range(160):
        await append(storage, log)
        storage.tend(log)
        await until(lambda: not log.saving)
    assert log.sidecar.sections == 11
    assert log.sidecar.records == log.index.records
    assert (disk.root / log.sidecar_path).stat().st_size - written == 160 * 24 + 10 * 100
    assert disk.count("open", f"{log.sidecar_path}.new") == 1, "the first alone is a whole one"
    again = await storage.open_thread(ORG, thread_id(2))
    assert again.index == log.index
    assert again.sidecar == log.sidecar


async def test_leaving_a_long_log_writes_what_came_and_no_more(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    log = await long_log(storage, catalog)
    size = (disk.root / log.sidecar_path).stat().st_size
    await append(storage, log)
    storage.leave(log)
    await until(lambda: not log.saving)
    assert (disk.root / log.sidecar_path).stat().st_size - size == 24 + 100
    before = len(disk.calls)
    again = await storage.open_thread(ORG, thread_id(2))
    assert again.index == log.index
    assert again.sidecar.records == log.index.records, "nothing was left to be read"
    reads = [call for call, path in disk.calls[before:] if path == log.path and call == "read"]
    assert len(reads) <= 3, "header, last covered line, what is behind it"


async def test_after_a_deletion_the_sidecar_is_written_anew_as_one(
    storage: Storage, catalog: CatalogLog
) -> None:
    log = await long_log(storage, catalog)
    await commit(storage, log.remove(5, only_id(message(5))))
    await append(storage, log)
    storage.leave(log)
    await until(lambda: not log.saving)
    assert log.sidecar.sections == 1
    assert (await storage.open_thread(ORG, thread_id(2))).index == log.index


async def test_a_sidecar_with_a_torn_end_is_gone_on_with_where_it_is_sound(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog
) -> None:
    log = await long_log(storage, catalog)
    with (disk.root / log.sidecar_path).open("ab") as file:
        file.write(b"what a crash left of a section" * 30)
    again = await storage.open_thread(ORG, thread_id(2))
    assert again.sidecar == log.sidecar
    await append(storage, again)
    storage.leave(again)
    await until(lambda: not again.saving)
    assert again.sidecar.sections == 2
    third = await storage.open_thread(ORG, thread_id(2))
    assert third.sidecar == again.sidecar
    assert third.index == again.index


@pytest.mark.parametrize("what", ["removed", "replaced"])
async def test_nothing_goes_behind_a_sidecar_that_somebody_else_touched(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog, what: str
) -> None:
    log = await long_log(storage, catalog)
    place = disk.root / log.sidecar_path
    if what == "removed":
        place.unlink()
    else:
        place.write_bytes(section(index_of([1, 2, 3])))
    for sections in (SECTIONS_MAX, 1):
        await append(storage, log)
        storage.leave(log)
        await until(lambda: not log.saving)
        assert log.sidecar.sections == sections
    assert extent_of(place.read_bytes()) == log.sidecar
    assert (await storage.open_thread(ORG, thread_id(2))).index == log.index


async def test_a_sidecar_that_cannot_be_written_costs_time_and_nothing_else(
    storage: Storage, disk: FragileDisk, catalog: CatalogLog, caplog: pytest.LogCaptureFixture
) -> None:
    log = await created(storage, catalog, 2, [message(each) for each in range(1, 901)])
    for _ in range(SIDECAR_RECORDS):
        await append(storage, log)

    def hook(call: str, path: str) -> int | None:
        if call == "write" and path.endswith(".idx.new"):
            raise OSError("no")
        return None

    disk.before = hook
    storage.leave(log)
    await until(lambda: "was not written" in caplog.text)
    assert (await storage.open_thread(ORG, thread_id(2))).index == log.index
