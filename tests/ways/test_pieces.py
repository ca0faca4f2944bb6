"""Requests in pieces of any size, and many in one piece."""

from __future__ import annotations

from asyncio import get_running_loop

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ways.conftest import InHome
from tests.ways.house import House
from tests.ways.requests import THREAD, TURN, ordinary, request, unusual

IN_PIECES = ("append", "close with a body", "read with a body", "unknown key", "bad json")


@pytest.mark.parametrize("name", IN_PIECES)
async def test_a_request_cut_in_two_anywhere_has_the_same_answer(home: House, name: str) -> None:
    asked = ordinary(home.key)[name]
    whole = await home.meet(asked, by_framework=False)
    for place in range(1, len(asked)):
        cut = await home.meet(asked[:place], asked[place:], by_framework=False)
        assert cut == whole, asked[:place]


@pytest.mark.parametrize("name", ["append", "chunked"])
async def test_a_request_that_comes_byte_by_byte_has_the_same_answer(
    home: House, name: str
) -> None:
    asked = (ordinary(home.key) | unusual(home.key))[name]
    whole = await home.meet(asked, by_framework=True)
    pieces = [asked[place : place + 1] for place in range(len(asked))]
    assert await home.meet(*pieces, by_framework=False) == whole


def numbered(key: str, count: int) -> list[bytes]:
    """Requests whose answers tell them apart; each body has a request in it."""
    inner = request("DELETE", THREAD, key).decode().replace("\r\n", "\\r\\n")
    body = '{"role":"user","content":"' + inner + '"}'
    return [
        request("POST", f"/v1/threads/thread-{place}/messages", key, body.encode())
        if place % 2
        else request("GET", f"/v1/threads/thread-{place}", key, b"GET / HTTP/1.1\r\n\r\n")
        for place in range(count)
    ]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at places that may lie behind their end."""
    cuts = sorted({place % len(data) for place in places} | {0})
    return [data[a:b] for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True)]


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(places=st.lists(st.integers(0, 10_000), max_size=12), later=st.booleans())
def test_requests_in_a_row_are_answered_once_each_and_in_their_order(
    in_home: InHome, places: list[int], later: bool
) -> None:
    async def meet(home: House) -> None:
        home.actor.asked.clear()
        home.actor.when = get_running_loop().call_soon if later else lambda answer: answer()
        requests = numbered(home.key, 8)
        answers, _ = await home.meet(*cut(b"".join(requests), places), by_framework=False)
        assert [answer.asked for answer in answers] == home.actor.asked
        assert [asked.split(":")[0] for asked in home.actor.asked] == [
            f"acme/thread-{place}" if place % 2 else "acme" for place in range(8)
        ]
        assert not any("Delete" in asked for asked in home.actor.asked)

    in_home(meet)


async def test_one_request_after_the_other_stays_on_the_fast_path(home: House) -> None:
    line = await home.line()
    await line.send(*numbered(home.key, 20))
    assert len(line.answers) == 20
    assert home.gate.by_framework == 0


@pytest.mark.parametrize("later", [False, True])
async def test_a_body_after_its_head_stays_on_the_fast_path(home: House, later: bool) -> None:
    if later:
        home.actor.when = get_running_loop().call_soon
    line = await home.line()
    for asked in numbered(home.key, 4):
        head, end, body = asked.partition(b"\r\n\r\n")
        await line.send(head + end, body[:5], body[5:])
    assert len(line.answers) == 4
    assert home.gate.by_framework == 0


@pytest.mark.parametrize("name", ["head", "put", "large", "elsewhere", "absolute"])
async def test_after_a_request_whose_end_is_known_the_fast_path_goes_on(
    home: House, name: str
) -> None:
    line = await home.line()
    asked = unusual(home.key)[name]
    await line.send(asked[: len(asked) // 2 + 200], asked[len(asked) // 2 + 200 :])
    assert home.gate.by_framework == 1
    line.transport.sent = b""
    await line.send(request("GET", THREAD, home.key))
    assert home.gate.by_framework == 1
    assert [answer.status for answer in line.answers] == [200]


@pytest.mark.parametrize("name", ["chunked", "twice", "upgrade", "identity"])
async def test_after_a_request_whose_end_is_in_doubt_the_framework_goes_on(
    home: House, name: str
) -> None:
    line = await home.line()
    await line.send(unusual(home.key)[name], request("GET", THREAD, home.key))
    assert home.gate.by_framework == 2
    assert len(line.answers) == 2


@pytest.mark.parametrize("extra", [1, 10, 1000])
async def test_a_piece_that_goes_beyond_an_unusual_request_is_the_frameworks(
    home: House, extra: int
) -> None:
    """What the framework has begun to read, it reads to its end."""
    following = request("POST", f"{THREAD}/messages", home.key, TURN.ljust(2000))
    line = await home.line()
    await line.send(unusual(home.key)["put"] + following[:extra], following[extra:])
    assert home.gate.by_framework == 2
    assert [answer.status for answer in line.answers] == [405, 200]


async def test_the_framework_is_not_interrupted_while_it_answers(home: House) -> None:
    waiting: list[object] = []
    home.actor.when = waiting.append
    line = await home.line()
    await line.send(unusual(home.key)["absolute"])
    home.actor.when = lambda answer: answer()
    await line.send(request("GET", "/v1/threads", home.key))
    assert line.answers == []
    (answer,) = waiting
    assert callable(answer)
    answer()
    await line.send()
    assert [each.asked for each in line.answers] == home.actor.asked
    assert home.gate.by_framework == 2


async def test_the_rest_of_a_head_that_came_with_an_unusual_request_is_never_a_request(
    home: House,
) -> None:
    line = await home.line()
    await line.send(unusual(home.key)["put"] + b"GET /v1/threads HTTP/1.1\r\nX: ")
    assert home.gate.by_framework == 1
    await line.send(request("DELETE", THREAD, home.key))
    assert home.gate.by_framework == 2
    assert not any("Delete" in asked for asked in home.actor.asked)
