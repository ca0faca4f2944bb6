"""Pages whose lines stand one behind the other, proved by one checksum: never more than was so."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import CatalogLog, DamagedRecord, Storage, ThreadLog, run
from storage.checksum import crc32
from storage.index import Index
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import (
    ORG,
    append,
    commit,
    created,
    message,
    read_all,
    thread_id,
    until,
)

EACH = range(1, 41)
PAGES = [range(0), range(0, 20), range(39, 19, -1), range(10, 11), range(0, 40), range(39, -1, -1)]


@pytest.fixture
async def catalog(storage: Storage) -> CatalogLog:
    return await storage.open_catalog(ORG)


@pytest.fixture
async def log(storage: Storage, catalog: CatalogLog) -> ThreadLog:
    """Half of it came with the thread, half was added later."""
    log = await created(storage, catalog, 1, [message(each) for each in EACH[:20]])
    for each in EACH[20:]:
        await commit(storage, log.add(each, message(each)))
    return log


def by_line(log: ThreadLog, positions: range) -> list[bytes]:
    return log.read(log.places(positions))


@pytest.mark.parametrize("positions", PAGES)
async def test_a_run_is_what_its_lines_are_one_by_one(log: ThreadLog, positions: range) -> None:
    found = log.page_now(positions)
    assert found == by_line(log, positions)
    assert len(found or []) == len(positions)


async def test_a_run_is_one_read(disk: FragileDisk, log: ThreadLog) -> None:
    before = len(disk.calls)
    assert log.page_now(range(20))
    assert [call for call, _ in disk.calls[before:]] == ["read_cached"]


async def test_a_changed_message_is_not_served_as_it_was(storage: Storage, log: ThreadLog) -> None:
    """Its new line is as long as the old one, which still stands between its neighbours."""
    await commit(storage, log.replace(10, message(10, "HELLO")))
    assert log.page_now(range(20)) is None
    assert storage.read_page(log, range(20)) == by_line(log, range(20))
    assert b"HELLO" in by_line(log, range(20))[9]
    assert log.page_now(range(10, 30)) is None, "in front of it stands what is no entry's"
    assert log.page_now(range(11, 30)) == by_line(log, range(11, 30)), "it stands elsewhere"


async def test_lines_in_another_order_than_their_keys_are_no_run(
    storage: Storage, log: ThreadLog
) -> None:
    for sequence in (1, 3, 2, 4):
        await commit(storage, log.replace(sequence, message(sequence, "again")))
    assert log.page_now(range(4)) is None
    assert storage.read_page(log, range(4)) == [message(each, "again") for each in range(1, 5)]


async def test_what_was_deleted_is_in_no_run(storage: Storage, log: ThreadLog) -> None:
    await commit(storage, log.remove(10, message(10)))
    assert log.page_now(range(20)) is None
    found = storage.read_page(log, range(20))
    assert found == [message(each) for each in EACH[:21] if each != 10]


async def test_a_chain_leads_over_tombstones_and_new_versions(
    storage: Storage, log: ThreadLog
) -> None:
    await commit(storage, log.remove(40, message(40)))
    await commit(storage, log.replace(1, message(1, "newer")))
    for each in range(41, 44):
        await commit(storage, log.add(each, message(each)))
    assert log.page_now(range(39, 42)) is None, "it stands behind what is no entry's"
    assert log.page_now(range(40, 42)) == [message(each) for each in range(42, 44)]


async def test_every_damaged_byte_of_a_run_is_seen(log: ThreadLog) -> None:
    found = run.find(log.index, 5, 8)
    assert found is not None
    sound = log._reader.piece_now(log.path, found.start, found.end)
    assert sound is not None
    assert found.objects(sound) == by_line(log, range(5, 9))
    for place in range(len(sound)):
        for bit in (1, 128):
            damaged = bytearray(sound)
            damaged[place] ^= bit
            assert found.objects(bytes(damaged)) is None, place
    assert found.objects(sound[:-1]) is None
    first = found.lengths[0]
    assert found.objects(sound[first:] + sound[:first]) is None


async def test_damage_is_named_as_ever(storage: Storage, disk: FragileDisk, log: ThreadLog) -> None:
    place = log.index.offsets[7] + 80
    with disk.opened(log.path) as descriptor:
        disk.write(descriptor, b"#", place)
    with pytest.raises(DamagedRecord) as caught:
        storage.read_page(log, range(20))
    assert caught.value.key == 8
    assert storage.read_page(log, range(8, 20)) == [message(each) for each in range(9, 21)]


async def test_no_run_leads_over_a_line_that_was_damaged_when_it_was_read_first(
    storage: Storage, disk: FragileDisk, log: ThreadLog
) -> None:
    """The checksum of a page over it would be that of the damaged bytes themselves."""
    with disk.opened(log.path) as descriptor:
        disk.write(descriptor, b"#", log.index.offsets[7] + 80)
    again = await storage.open_thread(ORG, thread_id(1))
    assert again.page_now(range(0, 7)) == [message(each) for each in range(1, 8)]
    assert again.page_now(range(9, 20)) == [message(each) for each in range(10, 21)]
    for positions in (range(0, 8), range(7, 12), range(0, 20), range(19, -1, -1)):
        assert again.page_now(positions) is None
        with pytest.raises(DamagedRecord):
            by_line(again, positions)


async def test_what_is_sealed_never_comes_with_a_run(storage: Storage, log: ThreadLog) -> None:
    for each in range(41, 44):
        await commit(storage, log.add(each, message(each), b"}}sealed" if each == 42 else b""))
    assert log.page_now(range(40, 43)) is None
    assert storage.read_page(log, range(40, 43)) == [message(each) for each in range(41, 44)]


async def test_runs_are_runs_after_a_restart_and_after_a_compaction(
    storage: Storage, log: ThreadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sidecars.SIDECAR_RECORDS", 8)
    storage.leave(log)
    await until(lambda: not log.saving)
    assert log.sidecar.records == 40
    await append(storage, log)
    expected = await read_all(storage, log)
    again = await storage.open_thread(ORG, thread_id(1))
    assert again.sidecar.records == 40, "the sidecar was believed"
    assert again.index == log.index
    assert again.page_now(range(41)) == expected

    await commit(storage, log.remove(3, message(3)))
    del expected[2]
    saved: list[int | None] = []
    storage.upkeep.shrink(log, saved.append, now=True)
    await until(lambda: saved)
    assert saved[0]
    assert await read_all(storage, log) == expected, "its new file is open now"
    assert log.page_now(range(40)) == expected
    await append(storage, log, "behind it")
    assert log.page_now(range(41)) == await read_all(storage, log)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("mmmmux"), st.integers(1, 30), st.integers(1, 3)), max_size=40
    )
)
def test_a_run_is_lines_that_tile_what_they_span(steps: list[tuple[str, int, int]]) -> None:
    index, end = Index(), 0
    for kind, key, length in steps:
        index.lengthen(bytes(length))
        index.apply(kind, index.last_key + 1 if kind == "m" else key, end, length)
        end += length
    assert index.chain == crc32(bytes(end))
    for low in range(len(index)):
        for high in range(low, len(index)):
            places = list(zip(index.offsets, index.lengths, strict=True))[low : high + 1]
            before = (index.offsets[low - 1], index.lengths[low - 1]) if low else (0, places[0][0])
            tile = all(a + length == b for (a, length), (b, _) in pairwise([before, *places]))
            found = run.find(index, low, high)
            assert (found is not None) == tile
            if found is not None:
                assert (found.start, found.end) == (places[0][0], sum(places[-1]))
