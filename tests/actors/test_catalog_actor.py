"""One organisation's list of threads: names, order, listing."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from ragen_actor import schema
from ragen_actor.errors import InvalidRequest, OutcomeUnknown, ThreadNotFound, Unavailable
from storage import Options
from storage.index import ENTRY_BYTES
from tests.actors.house import NOW, House, done, opened, refused, until
from tests.storage.fragile_disk import FragileDisk, Held, failing


def allow(call: str, path: str) -> int | None:
    """Let everything happen."""
    return None


def key(thread_id: str) -> int:
    found = schema.thread_key(thread_id)
    assert found is not None
    return found


async def listed(house: House, query: str = "order=asc&limit=100") -> list[str]:
    return [thread["id"] for thread in (await done(house.list_threads(query)))["data"]]


async def test_many_creates_at_once_cost_one_sync_and_stand_in_their_order(house: House) -> None:
    await house.thread()
    before = house.syncs
    made = await asyncio.gather(*[done(house.create(str(place))) for place in range(64)])
    assert house.syncs - before == 1
    assert (await listed(house))[1:] == [thread["id"] for thread in made]


async def test_the_first_creates_of_an_organisation_may_come_at_once(options: Options) -> None:
    async with opened(options) as house:
        made = await asyncio.gather(*[done(house.create()) for _ in range(9)])
    async with opened(options) as house:
        assert await listed(house) == [thread["id"] for thread in made]


async def test_a_catalogue_has_its_file_before_any_thread_has(
    options: Options, disk: FragileDisk
) -> None:
    """So a copy that has passed by the catalogue's place has seen no thread beside it either."""
    async with opened(options, disk) as house:
        await done(house.create("first"))
    made = [path for call, path in disk.calls if call == "write" and path.startswith("orgs/")]
    assert [path.count("/threads/") for path in made] == [0, 1]


async def test_the_first_create_may_fail_and_the_next_begins_the_catalogue(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(options, disk) as house:
        disk.before = failing("batch")
        answers = [house.create(), house.create()]
        for answer in answers:
            with pytest.raises((OutcomeUnknown, Unavailable)):
                await done(answer)
        disk.before = allow
        thread = await house.thread("a")
    async with opened(options) as house:
        assert await listed(house) == [thread]
        assert await house.texts(thread) == ["a"]


async def test_ids_rise_strictly_though_the_clock_is_set_back(house: House) -> None:
    made = []
    for offset in (0, 0, -3600, 5, -9, 5):
        house.time = NOW + offset
        made.append(await house.thread())
    keys = [key(each) for each in made]
    assert keys == sorted(set(keys))
    assert await listed(house) == made
    created = [(await done(house.get(each)))["created_at"] for each in made]
    assert created == sorted(created)


async def test_ids_rise_strictly_over_a_restart_with_a_clock_set_back(options: Options) -> None:
    async with opened(options) as house:
        first = await house.thread()
        newest = await house.thread()
        await done(house.delete(newest))
    async with opened(options) as house:
        house.time = NOW - 86_400
        second = await house.thread()
        assert key(first) < key(newest) < key(second)
        assert await listed(house) == [first, second]


async def test_a_millisecond_may_see_more_threads_than_it_has_counters(house: House) -> None:
    await house.thread()
    actor = house.registry._organisations["acme"].catalog
    ids = [actor._new_id() for _ in range(70_000)]
    keys = [key(each) for each, _ in ids]
    assert all(low < high for low, high in pairwise(keys))
    assert ids[-1][1] == int(NOW * 1000) + 1, "time goes on from the newest thread's"
    thread = await house.thread()
    assert key(thread) > keys[-1]


async def test_the_cursor_of_a_deleted_thread_still_works(house: House) -> None:
    made = [await house.thread() for _ in range(6)]
    await done(house.delete(made[2]))
    assert await listed(house, f"order=asc&after={made[2]}") == made[3:]
    assert await listed(house, f"order=desc&after={made[2]}") == made[1::-1]
    assert await listed(house, f"order=asc&before={made[2]}&limit=1") == made[1:2]


async def test_a_cursor_that_the_organisation_never_reached_is_refused_by_name(
    house: House,
) -> None:
    await house.thread()
    house.time += 60
    theirs = await house.thread(org="globex")
    error = await refused(lambda: house.list_threads(f"after={theirs}"), InvalidRequest)
    assert error.param == "after"
    error = await refused(lambda: house.list_threads("before=thread_imported"), InvalidRequest)
    assert error.param == "before"


async def test_organisations_see_their_own_threads_alone(house: House) -> None:
    mine = [await house.thread() for _ in range(3)]
    theirs = await house.thread(org="globex")
    assert await listed(house) == mine
    page = await done(house.list_threads(org="globex"))
    assert [thread["id"] for thread in page["data"]] == [theirs]
    await refused(lambda: house.get(mine[0], org="globex"), ThreadNotFound)


async def test_a_thread_is_seen_by_nobody_before_it_is_durable(
    house: House, disk: FragileDisk
) -> None:
    first = await house.thread()
    disk.before = held = Held("batch")
    answer = house.create("a")
    await until(held.reached.is_set)
    assert await listed(house) == [first]
    held.let_go()
    assert await listed(house) in ([first], [first, (await done(answer))["id"]])
    await done(answer)
    assert len(await listed(house)) == 2


async def test_a_thread_and_its_messages_are_created_whole_or_not_at_all(
    options: Options, disk: FragileDisk
) -> None:
    texts = [str(place) for place in range(40)]
    async with opened(options, disk) as house:
        await house.thread()
        disk.before = lambda call, path: 600 if call == "batch" else None
        await refused(lambda: house.create(*texts), OutcomeUnknown)
        disk.before = allow
        assert len(await listed(house)) == 1
        whole = await house.thread(*texts)
        assert await house.texts(whole) == texts
    files = list(options.data_dir.glob("orgs/acme/threads/*/*.jsonl"))
    assert len(files) == 2, "of the one that failed there is no file"


async def test_a_create_whose_file_could_not_be_written_is_whole_once_it_is_seen_and_served(
    options: Options, disk: FragileDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)
    async with opened(options, disk) as house:
        await house.thread()

        def hook(call: str, path: str) -> int | None:
            if call == "write" and "/thread-" in path:
                return 300
            return None

        disk.before = hook
        await refused(lambda: house.create("a", "b", "c"), OutcomeUnknown)
        *_, thread = await listed(house)
        await refused(lambda: house.messages(thread), Unavailable)
        await refused(lambda: house.append(thread, "d"), Unavailable)
        disk.before = allow
        await until(lambda: house.registry.trouble is None)
        await done(house.append(thread, "d"))
        assert await house.texts(thread) == ["a", "b", "c", "d"]


async def test_a_thread_that_is_longer_than_a_line_is_a_fault_of_the_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.record.LINE_BYTES_MAX", 800)
    thread = await house.thread()
    huge = {
        "file_search": {"vector_store_ids": ["x" * 256]},
        "code_interpreter": {"file_ids": ["x" * 256] * 2},
    }
    for ask in (
        lambda: house.create(tool_resources=huge),
        lambda: house.modify(thread, tool_resources=huge),
    ):
        error = await refused(ask, InvalidRequest)
        assert error.param == "tool_resources"
    await done(house.modify(thread, title="goes on"))
    assert await listed(house) == [thread]


async def test_a_catalogue_that_grows_gets_its_sidecar_and_is_booked(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sidecars.SIDECAR_RECORDS", 64)
    async with opened(options) as house:
        for _ in range(200):
            await house.thread()
        assert options.data_dir.joinpath("orgs/acme/catalog.idx").exists()
        registry = house.registry
        taken = sum(actor.memory_bytes for actor in registry._by_use)
        assert taken - 64 * ENTRY_BYTES <= registry.resident_bytes <= taken
