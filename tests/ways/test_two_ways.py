"""A request means the same whether the fast path or the framework answers it."""

from __future__ import annotations

import pytest

from tests.ways.house import House
from tests.ways.requests import THREAD, ordinary, request, unusual


@pytest.mark.parametrize("name", ordinary(""))
async def test_an_ordinary_request_means_the_same_on_both_ways(home: House, name: str) -> None:
    asked = ordinary(home.key)[name]
    fast = await home.meet(asked, by_framework=False)
    assert home.gate.by_framework == 0
    assert fast == await home.meet(asked, by_framework=True)
    assert home.gate.by_framework == 2
    assert len(fast[0]) == 1


@pytest.mark.parametrize("name", unusual(""))
async def test_an_unusual_request_is_the_frameworks_from_its_first_byte(
    home: House, name: str
) -> None:
    asked = unusual(home.key)[name]
    plain = await home.meet(asked, by_framework=False)
    assert home.gate.by_framework <= 1, "what is no HTTP does not get there"
    assert plain == await home.meet(asked, by_framework=True)
    assert len(plain[0]) == 1


async def test_the_rate_limit_counts_both_ways_alike(home: House) -> None:
    key = home.keys["default"]
    left = []
    for by_framework in (False, True, False):
        line = await (home.framework_line() if by_framework else home.line())
        await line.send(request("GET", THREAD, key))
        left.append(line.transport.sent.split(b"remaining-requests: ")[1].split(b"\r\n")[0])
    assert left == [b"19", b"18", b"17"]


async def test_a_key_without_tokens_is_refused_on_both_ways(home: House) -> None:
    home.gate.clock = lambda: 1000.0
    key = home.keys["default"]
    line = await home.line()
    for _ in range(20):
        await line.send(request("GET", THREAD, key))
    assert {answer.status for answer in line.answers} == {200}
    asked = request("POST", f"{THREAD}/messages", key, b"{")
    fast = await home.meet(asked, by_framework=False)
    assert fast == await home.meet(asked, by_framework=True)
    assert [answer.status for answer in fast[0]] == [429]
