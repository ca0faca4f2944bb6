"""With many clients, the answers of one turn are written one behind the other at its end."""

from __future__ import annotations

import asyncio

import pytest

from ragen_actor.web.connection import Connection
from tests.ways.house import House, Keys, house
from tests.ways.memory_line import Line, turns
from tests.ways.requests import THREAD, ordinary, request, unusual


@pytest.fixture
async def lines(home: House) -> list[Line]:
    return [await home.line() for _ in range(6)]


def get(home: House, number: int = 1) -> bytes:
    return request("GET", f"/v1/threads/thread-{number}", home.key)


async def test_nothing_is_written_before_the_turn_ends(home: House, lines: list[Line]) -> None:
    for number, line in enumerate(lines):
        line.connection.data_received(get(home, number))
    assert len(home.actor.asked) == 6
    assert not any(line.transport.sent for line in lines)
    await asyncio.sleep(0)
    for number, line in enumerate(lines):
        assert [f"thread-{number}'" in each.asked for each in line.answers] == [True]


async def test_few_clients_do_not_wait_for_each_other(keys: Keys) -> None:
    async with house(keys) as home:
        line = await home.line()
        line.connection.data_received(get(home))
        assert len(line.answers) == 1


@pytest.mark.parametrize("name", ["close", "append", "bad json", "not there", "chunked", "alive"])
async def test_what_comes_before_an_answer_is_written_is_answered_behind_it(
    home: House, name: str
) -> None:
    everything = ordinary(home.key) | unusual(home.key)
    alone, ends = await home.meet(everything[name], by_framework=False)
    line = await home.line()
    line.connection.data_received(get(home))
    line.connection.data_received(everything[name])
    assert not line.transport.sent
    await turns()
    first, *rest = line.answers
    assert "thread-1'" in first.asked
    assert rest == alone
    assert line.closed == ends


async def test_a_client_that_left_takes_no_answer_from_the_others(
    home: House,
    lines: list[Line],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for line in lines:
        line.connection.data_received(get(home))
    lines[0].connection.connection_lost(None)
    write = Connection.write
    broken = lines[1].connection

    def fail(self: Connection) -> None:
        if self is broken:
            raise OSError("no such line")
        write(self)

    monkeypatch.setattr(Connection, "write", fail)
    await turns()
    assert [len(line.answers) for line in lines] == [0, 0, 1, 1, 1, 1]
    assert "no such line" in caplog.text


async def test_a_connection_that_is_shut_down_writes_its_answer_first(home: House) -> None:
    line = await home.line()
    line.connection.close()
    await turns()
    line.connection.data_received(get(home))
    await line.connection.shutdown(1.0)
    assert len(line.answers) == 1
    assert line.closed


async def test_a_client_that_sends_no_more_gets_what_is_ready(home: House) -> None:
    line = await home.line()
    line.connection.data_received(get(home))
    line.connection.eof_received()
    assert len(line.answers) == 1
    await turns()
    assert len(line.answers) == 1


async def test_nothing_more_is_done_for_a_client_that_gets_no_answer(home: House) -> None:
    line = await home.line()
    line.connection.data_received(get(home, 1))
    line.connection.data_received(get(home, 2))
    line.connection.eof_received()
    line.transport.close()
    await turns()
    assert len(line.answers) == 1
    assert len(home.actor.asked) == 1


async def test_an_answer_that_is_the_last_is_written_before_the_connection_closes(
    home: House,
) -> None:
    line = await home.line()
    line.connection.data_received(ordinary(home.key)["close"])
    assert not line.closed
    await turns()
    assert [answer.status for answer in line.answers] == [200]
    assert line.closed


async def test_a_connection_with_an_unwritten_answer_is_not_idle(home: House) -> None:
    line = await home.line()
    line.connection.data_received(request("DELETE", THREAD, home.key))
    line.connection._next_keepalive_close_time = 0.0
    line.connection._process_keepalive()
    assert not line.closed
    await turns()
    assert len(line.answers) == 1
