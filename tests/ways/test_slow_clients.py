"""Clients that are slow, leave or never read, while the fast path has their request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from tests.ways.house import House, Keys, house
from tests.ways.memory_line import Line, turns
from tests.ways.requests import THREAD, TURN, request

SECONDS_MAX = 8.0


class Pending(list[Callable[[], None]]):
    """The answers that the actor has not given yet."""

    async def give(self) -> None:
        for answer in self:
            answer()
        self.clear()
        await turns()


@pytest.fixture
def pending(home: House) -> Pending:
    waiting = Pending()
    home.actor.when = waiting.append
    return waiting


def append(home: House, *fields: str) -> bytes:
    return request("POST", f"{THREAD}/messages", home.key, TURN, *fields)


async def elapse(seconds: float) -> None:
    """Let real time pass, as timers of the framework's need."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(seconds / 10)


async def until_closed(line: Line) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not line.closed:
            await asyncio.sleep(0.01)


async def test_what_comes_while_a_request_is_answered_waits_and_is_bounded(
    home: House, pending: Pending
) -> None:
    line = await home.line()
    await line.send(append(home))
    assert not line.transport.is_reading_paused
    await line.send(append(home))
    assert line.transport.is_reading_paused
    assert len(home.actor.asked) == 1
    await pending.give()
    assert not line.transport.is_reading_paused
    await pending.give()
    assert len(line.answers) == 2
    assert home.gate.by_framework == 0


async def test_nothing_is_done_after_a_request_that_closes(home: House, pending: Pending) -> None:
    line = await home.line()
    await line.send(append(home, "Connection: close"))
    await line.send(append(home))
    await pending.give()
    assert line.closed
    assert len(line.answers) == len(home.actor.asked) == 1


async def test_a_client_that_does_not_read_is_not_read_either(home: House) -> None:
    line = await home.line()
    line.connection.pause_writing()
    await line.send(append(home))
    assert line.transport.is_reading_paused
    line.connection.resume_writing()
    assert not line.transport.is_reading_paused
    await line.send(append(home))
    assert len(line.answers) == 2
    assert home.gate.by_framework == 0


async def test_a_client_that_stops_reading_is_taken_on_where_it_stopped(
    home: House, pending: Pending
) -> None:
    line = await home.line()
    await line.send(append(home))
    await line.send(append(home))
    line.connection.pause_writing()
    await pending.give()
    assert line.transport.is_reading_paused
    assert len(home.actor.asked) == 1
    line.connection.resume_writing()
    await pending.give()
    assert len(line.answers) == 2


async def test_nobody_waits_for_the_body_of_a_stranger(home: House) -> None:
    line = await home.line()
    await line.send(request("POST", "/v1/threads", "sk-of-nobody-at-all", b"{}")[:-2])
    assert [answer.status for answer in line.answers] == [401]
    assert line.connection.body_since == 0.0


async def test_a_slow_body_is_the_frameworks_after_a_while(home: House) -> None:
    line = await home.line()
    asked = append(home)
    await line.send(asked[:-5])
    line.connection.body_since -= 2.0
    home.server._sweep()
    await turns()
    assert home.gate.by_framework == 1
    assert home.bytes_held == len(TURN)
    await line.send(asked[-5:])
    await line.send(append(home))
    assert [answer.status for answer in line.answers] == [200, 200]
    assert home.gate.by_framework == 1


async def test_a_body_that_never_comes_to_its_end_is_a_408(keys: Keys) -> None:
    async with house(keys, body_seconds_max=0.05) as home:
        line = await home.line()
        await line.send(append(home)[:-5])
        line.connection.give_up()
        async with asyncio.timeout(SECONDS_MAX):
            while not line.answers:
                await asyncio.sleep(0.01)
        assert [answer.status for answer in line.answers] == [408]
        assert home.actor.asked == []
        await line.send(append(home)[-5:])
        await until_closed(line)


@pytest.mark.parametrize("length", [1, -len(TURN) - 1, -len(TURN), -1])
async def test_a_client_that_leaves_within_its_request_leaves_nothing(
    home: House, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    caplog.set_level(logging.INFO)
    line = await home.line()
    await line.send(append(home)[:length])
    line.transport.close()
    await turns()
    assert line.transport.sent == b""
    assert home.bytes_held == 0
    assert home.actor.asked == []
    assert caplog.records == []


async def test_a_client_that_leaves_before_its_answer_costs_no_room(
    home: House, pending: Pending, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    line = await home.line()
    await line.send(append(home))
    await line.send(append(home))
    assert home.bytes_held == len(TURN)
    line.transport.close()
    await pending.give()
    await pending.give()
    assert home.bytes_held == 0
    assert len(home.actor.asked) == 1
    assert line.transport.sent == b""
    assert caplog.records == []


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(keys: Keys) -> None:
    async with house(keys, keepalive_seconds=0.05) as home:
        waiting = Pending()
        home.actor.when = waiting.append
        busy, held, idle = await home.line(), await home.line(), await home.line()
        await busy.send(append(home))
        await held.send(append(home)[:-1])
        await until_closed(idle)
        await elapse(0.2)
        assert not busy.closed
        assert not held.closed
        await held.send(append(home)[-1:])
        await waiting.give()
        assert len(busy.answers) == len(held.answers) == 1
        await until_closed(busy)
        await until_closed(held)


async def test_a_stopping_server_answers_what_the_fast_path_has_begun(
    home: House, pending: Pending
) -> None:
    line = await home.line()
    await line.send(append(home))
    home.server.pre_shutdown()
    stopping = asyncio.create_task(home.server.shutdown(SECONDS_MAX))
    await turns()
    assert not line.closed
    await pending.give()
    await stopping
    assert [answer.status for answer in line.answers] == [200]
    assert line.closed


async def test_a_stopping_server_does_not_wait_for_a_client_that_has_left(
    home: House, pending: Pending
) -> None:
    line = await home.line()
    await line.send(append(home))
    home.server.pre_shutdown()
    stopping = asyncio.create_task(home.server.shutdown(1000.0))
    await turns()
    line.transport.close()
    await turns()
    await pending.give()
    async with asyncio.timeout(SECONDS_MAX):
        await stopping


async def test_a_stopping_server_waits_for_an_answer_no_longer_than_it_may(
    home: House, pending: Pending
) -> None:
    line = await home.line()
    await line.send(append(home))
    async with asyncio.timeout(SECONDS_MAX):
        await home.server.shutdown(0.02)
    assert line.closed
    await pending.give()
    assert line.transport.sent == b""


async def test_a_client_that_had_to_wait_is_served_on_the_fast_path(keys: Keys) -> None:
    async with house(keys, connections_max=1) as home:
        served, waiting, turned_away = await home.line(), await home.line(), await home.line()
        asked = append(home)
        waiting.connection.data_received(asked[:20])
        waiting.connection.data_received(asked[20:])
        await turns()
        assert home.actor.asked == []
        assert turned_away.closed
        served.transport.close()
        await turns()
        assert [answer.status for answer in waiting.answers] == [200]
        assert home.gate.by_framework == 0
