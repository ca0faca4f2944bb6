from __future__ import annotations

import asyncio

import pytest

from ragen_actor.actors.watching import CHANGES_MAX, Change, Watchers
from ragen_actor.errors import Unavailable
from tests.actors.house import House

THREAD = "thread-" + "1" * 32
SECONDS = 5.0


def turn_id(sequence: int) -> str:
    return f"msg-{0:012x}{sequence:08x}{0:012x}"


async def test_nobody_watches_nobody_is_told_and_nothing_is_kept() -> None:
    watchers = Watchers()
    assert not watchers
    watchers.announce("acme", "turn-added", THREAD, turn_id(2))
    watch = watchers.open("acme", THREAD)
    assert watchers
    assert await watch.wait(0.0) == []
    watchers.close(watch)
    assert not watchers
    assert vars(watchers)["_by_topic"] == {}


async def test_changes_are_taken_once_oldest_first() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", THREAD)
    watchers.announce("acme", "turn-deleted", THREAD, turn_id(2))
    watchers.announce("acme", "thread-changed", THREAD)
    assert await watch.wait(SECONDS) == [
        Change("turn-deleted", THREAD, turn_id(2)),
        Change("thread-changed", THREAD),
    ]
    assert await watch.wait(0.0) == []


async def test_turns_added_in_a_row_are_told_once_with_the_newest() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", THREAD)
    for sequence in range(2, 1000):
        watchers.announce("acme", "turn-added", THREAD, turn_id(sequence))
    assert await watch.wait(SECONDS) == [Change("turn-added", THREAD, turn_id(999))]


async def test_a_reader_who_falls_behind_is_told_that_it_missed_something() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", THREAD)
    for sequence in range(2, CHANGES_MAX + 10):
        watchers.announce("acme", "turn-deleted", THREAD, turn_id(sequence))
    assert await watch.wait(SECONDS) == [Change("missed")]
    watchers.announce("acme", "turn-deleted", THREAD, turn_id(2))
    assert await watch.wait(SECONDS) == [Change("turn-deleted", THREAD, turn_id(2))]


async def test_a_waiting_reader_wakes_and_one_without_news_is_let_go_in_time() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", None)
    waiting = asyncio.ensure_future(watch.wait(SECONDS))
    await asyncio.sleep(0)
    watchers.announce("acme", "thread-created", THREAD)
    assert await waiting == [Change("thread-created", THREAD)]
    assert await watch.wait(0.001) == []


async def test_the_list_is_not_told_of_turns_but_of_the_first() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", None)
    watchers.announce("acme", "turn-added", THREAD, turn_id(2))
    assert await watch.wait(0.0) == []
    watchers.announce("acme", "turn-added", THREAD, turn_id(1))
    assert await watch.wait(SECONDS) == [Change("thread-changed", THREAD)]


async def test_watches_are_bounded_over_all_and_for_each_organisation() -> None:
    watchers = Watchers(watches_max=3)
    watchers.open("acme", None)
    first = watchers.open("acme", THREAD)
    with pytest.raises(Unavailable):
        watchers.open("acme", None)
    watchers.open("globex", None)
    with pytest.raises(Unavailable):
        watchers.open("initech", None)
    watchers.close(first)
    watchers.open("acme", None)


async def test_a_stopping_server_wakes_every_reader() -> None:
    watchers = Watchers()
    watch = watchers.open("acme", None)
    waiting = asyncio.ensure_future(watch.wait(SECONDS))
    await asyncio.sleep(0)
    watchers.end()
    assert await waiting == []
    assert watch.ended


async def test_actors_tell_what_they_have_committed_and_only_that(house: House) -> None:
    watch = house.registry.watchers.open("acme", None)
    created = house.create("one")
    assert await watch.wait(0.0) == []
    thread = house_id(await created)
    assert await watch.wait(SECONDS) == [Change("thread-created", thread)]
    other = house.registry.watchers.open("acme", thread)
    message = house_id(await house.append(thread))
    assert await other.wait(SECONDS) == [Change("turn-added", thread, message)]
    assert await watch.wait(0.0) == []


def house_id(body: bytes) -> str:
    return body.split(b'"')[3].decode()
