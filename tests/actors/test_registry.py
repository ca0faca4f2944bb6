"""Who is resident, when one is let go, and that nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from ragen_actor.actors import Limits
from ragen_actor.errors import Damaged, RagenError, ThreadNotFound, Unavailable
from storage import Options, Storage
from storage.datadir import catalog_path
from tests.actors.house import House, done, opened, refused, until
from tests.storage.fragile_disk import FragileDisk, Held, failing

IDLE_SECONDS = 300.0


def allow(call: str, path: str) -> int | None:
    """Let everything happen."""
    return None


class Later:
    """The event loop as the registry sees it, with a time that the test moves on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ahead = 0.0

    def time(self) -> float:
        return self._loop.time() + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@asynccontextmanager
async def timed(
    options: Options, disk: FragileDisk | None = None, limits: Limits | None = None
) -> AsyncIterator[tuple[House, Callable[[float], None]]]:
    """Open a house and a way to let time pass: the sweep is done at once."""
    async with opened(options, disk, limits) as house:
        registry = house.registry
        later = Later(asyncio.get_running_loop())
        registry._loop = later  # type: ignore[assignment]

        def pass_time(seconds: float) -> None:
            later.ahead += seconds
            registry._sweeper.cancel()
            registry._sweep()

        yield house, pass_time


async def test_who_nobody_asked_for_long_is_let_go_and_comes_back_unchanged(
    options: Options,
) -> None:
    async with timed(options) as (house, pass_time):
        threads = [await house.thread(str(place)) for place in range(5)]
        assert len(house.registry) == 6
        pass_time(IDLE_SECONDS - 10)
        assert len(house.registry) == 6
        await done(house.append(threads[0], "kept"))
        pass_time(20)
        assert len(house.registry) == 2, "the one that was asked, and its catalogue"
        pass_time(IDLE_SECONDS + 10)
        pass_time(0)
        assert len(house.registry) == 0
        assert house.registry.resident_bytes == 0
        for place, thread in enumerate(threads):
            assert (await house.texts(thread))[:1] == [str(place)]
        assert await house.texts(threads[0]) == ["0", "kept"]


async def test_a_catalogue_that_only_its_threads_asked_for_is_let_go_too(
    options: Options,
) -> None:
    async with opened(options) as house:
        thread = await house.thread("a")
    async with timed(options) as (house, pass_time):
        assert await house.texts(thread) == ["a"]
        assert len(house.registry) == 2
        assert house.registry.resident_bytes > 0
        for _ in range(3):
            pass_time(IDLE_SECONDS + 1)
        assert len(house.registry) == 0
        assert house.registry._organisations == {}


async def test_an_actor_with_something_on_its_way_is_not_let_go(
    options: Options, disk: FragileDisk
) -> None:
    async with timed(options, disk) as (house, pass_time):
        thread = await house.thread("a")
        disk.before = held = Held("batch")
        answer = house.append(thread, "b")
        await until(held.reached.is_set)
        for _ in range(3):
            pass_time(IDLE_SECONDS + 1)
        assert len(house.registry) == 2
        held.let_go()
        await done(answer)
        pass_time(IDLE_SECONDS + 1)
        assert await house.texts(thread) == ["a", "b"]


async def test_an_actor_that_reads_from_the_disk_is_not_let_go(
    options: Options, disk: FragileDisk
) -> None:
    async with timed(options, disk) as (house, pass_time):
        thread = await house.thread("a")
        disk.reads_ahead = False
        disk.before = held = Held("read")
        answer = house.messages(thread)
        await until(held.reached.is_set)
        pass_time(IDLE_SECONDS + 1)
        assert len(house.registry) == 2
        held.let_go()
        assert len((await done(answer))["data"]) == 1


async def test_above_the_bytes_allowed_the_longest_unused_are_let_go(
    options: Options,
) -> None:
    limits = Limits(resident_bytes_max=64 * 1024)
    async with opened(options, limits=limits) as house:
        threads = [await house.thread(str(place)) for place in range(60)]
        assert house.registry.resident_bytes <= 64 * 1024
        assert len(house.registry) < 20
        resident = house.registry._organisations["acme"].threads
        assert list(resident) == threads[-len(resident) :]
        for place, thread in enumerate(threads):
            await done(house.append(thread, "more"))
            assert await house.texts(thread) == [str(place), "more"]
        assert house.registry.resident_bytes <= 64 * 1024


async def test_what_a_woken_log_takes_is_booked_though_it_is_only_read(options: Options) -> None:
    async with opened(options) as house:
        threads = [await house.thread(*["text"] * 300) for _ in range(4)]
    async with opened(options) as house:
        registry = house.registry
        await done(house.list_threads())
        assert registry.resident_bytes == sum(actor.memory_bytes for actor in registry._by_use)
        for thread in threads:
            assert len(await house.texts(thread)) == 100
            taken = sum(actor.memory_bytes for actor in registry._by_use)
            assert registry.resident_bytes == taken
        assert registry.resident_bytes > 4 * 300 * 24


async def test_what_is_booked_for_an_actor_follows_what_it_holds(options: Options) -> None:
    async with timed(options) as (house, pass_time):
        thread = await house.thread()
        before = house.registry.resident_bytes
        await asyncio.gather(*[done(house.append(thread)) for _ in range(500)])
        await house.ids(thread)
        grown = house.registry.resident_bytes - before
        assert 500 * 20 <= grown <= 500 * 24
        for _ in range(2):
            pass_time(IDLE_SECONDS + 1)
        assert house.registry.resident_bytes == 0


async def test_asks_that_come_while_an_actor_wakes_are_answered_in_order(
    options: Options,
) -> None:
    async with opened(options) as house:
        thread = await house.thread("a")
    async with opened(options) as house:
        answers = [house.append(thread, str(place)) for place in range(30)]
        page = house.messages(thread, "order=asc&limit=100")
        gone = house.delete(thread)
        behind = house.append(thread)
        await asyncio.gather(*map(done, answers))
        assert (await done(page))["data"][0]["content"][0]["text"]["value"] == "a"
        await done(gone)
        await refused(behind, ThreadNotFound)
        await refused(lambda: house.messages(thread), ThreadNotFound)
        assert len(house.registry) == 1


async def test_a_thread_that_does_not_exist_leaves_nobody_resident(house: House) -> None:
    thread = await house.thread()
    for place in range(30):
        await refused(partial(house.append, f"{thread[:-2]}{place:02x}"), ThreadNotFound)
        await refused(partial(house.messages, f"thread-{place:032x}"), ThreadNotFound)
        await refused(lambda: house.messages("../../etc/passwd"), ThreadNotFound)
    assert len(house.registry) == 2


async def test_asks_left_in_a_stopped_mailbox_are_answered_with_an_error(
    options: Options,
) -> None:
    async with opened(options) as house:
        thread = await house.thread("a")
    path = options.data_dir / catalog_path("acme")
    whole = path.read_bytes()
    path.write_bytes(b"garbage" + whole)
    async with opened(options) as house:
        answers = [house.append(thread), house.list_threads(), house.create(), house.get(thread)]
        for answer in answers:
            await refused(answer, Damaged)
        assert len(house.registry) == 0
        path.write_bytes(whole)
        assert await house.texts(thread) == ["a"], "the next ask wakes it again"


async def test_a_log_that_is_owed_lines_is_not_woken_before_it_has_them(
    options: Options, disk: FragileDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)
    async with timed(options, disk) as (house, pass_time):
        thread = await house.thread("a")
        disk.before = failing("write", "open", suffix=f"{thread}.jsonl")
        with pytest.raises(Exception, match="outcome is unknown"):
            await done(house.append(thread, "owed"))
        pass_time(IDLE_SECONDS + 1)
        await refused(lambda: house.append(thread, "too early"), Unavailable)
        disk.before = allow
        await until(lambda: house.registry.trouble is None)
        await done(house.append(thread, "next"))
        assert await house.texts(thread) == ["a", "owed", "next"]


# The end.


async def test_at_the_end_all_that_was_accepted_is_answered_and_the_rest_refused(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(options) as house:
        sleeping = await house.thread("asleep")
    house = await anew(options, disk)
    thread = await house.thread()
    disk.before = held = Held("batch")
    answers = [house.append(thread, str(place)) for place in range(50)]
    answers += [house.create("new"), house.append(sleeping, "woken"), house.messages(sleeping)]
    closing = asyncio.create_task(house.registry.close())
    await until(held.reached.is_set)
    for ask in (lambda: house.append(thread), house.create, house.list_threads):
        await refused(ask, Unavailable)
    assert not closing.done()
    held.let_go()
    await closing
    assert all(answer.done() and answer.exception() is None for answer in answers)
    await house.storage.close()
    async with opened(options) as house:
        assert await house.texts(thread) == list(map(str, range(50)))
        assert await house.texts(sleeping) == ["asleep", "woken"]


async def test_after_the_end_an_ask_wakes_nobody(options: Options) -> None:
    house = await anew(options)
    thread = await house.thread()
    await house.registry.close()
    await refused(lambda: house.append(thread), Unavailable)
    await refused(lambda: house.create(org="never-seen"), Unavailable)
    await refused(lambda: house.append(thread, org="nor-this"), Unavailable)
    assert not house.registry._activations
    await house.storage.close()


async def test_at_the_end_long_indices_are_left_for_the_next_start(options: Options) -> None:
    async with opened(options) as house:
        thread = await house.thread()
        await asyncio.gather(*[done(house.append(thread)) for _ in range(1000)])
        await asyncio.gather(*[done(house.append(thread)) for _ in range(100)])
    assert len(list(options.data_dir.glob("orgs/acme/threads/*/*.idx"))) == 1
    async with opened(options) as house:
        assert len(await house.ids(thread)) == 100


async def anew(options: Options, disk: FragileDisk | None = None) -> House:
    return House(await Storage.open(options, disk), Limits())


@pytest.mark.parametrize("door", ["open_catalog", "open_thread"])
async def test_a_fault_that_nobody_foresaw_fails_the_asks_and_not_the_actor_for_ever(
    options: Options, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, door: str
) -> None:
    async with opened(options) as house:
        thread = await house.thread("a")
    async with opened(options) as house:
        with monkeypatch.context() as patch:
            patch.setattr(Storage, door, broken)
            await refused(house.messages(thread), RagenError)
        assert "a bug" in caplog.text
        assert await house.texts(thread) == ["a"], "the next ask wakes it again"


async def broken(*_: object) -> None:
    raise ValueError("a bug")
