"""What the door and the actors refuse is refused alike on both ways."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

from ragen_actor.errors import OutcomeUnknown, RagenError, RateLimited, Unavailable
from tests.ways.house import House, Keys, house
from tests.ways.memory_line import Answer
from tests.ways.requests import THREAD, TURN, ordinary, request


def append(home: House, tier: str = "unlimited", *fields: str) -> bytes:
    return request("POST", f"{THREAD}/messages", home.keys[tier], TURN, *fields)


async def alike(home: House, asked: bytes) -> Answer:
    """Return the one answer that both ways give."""
    ((fast,), closed) = await home.meet(asked, by_framework=False)
    before = home.gate.by_framework
    assert ([fast], closed) == await home.meet(asked, by_framework=True)
    assert (before, home.gate.by_framework) == (before, before + 2)
    return fast


def drain(home: House) -> None:
    home.gate.draining = True


def start(home: House) -> None:
    home.gate.api = None


def fill(home: House) -> None:
    """Nothing: there is no room for bodies at all."""


@pytest.mark.parametrize("trouble", [drain, start, fill])
async def test_a_server_that_cannot_take_a_request_says_so_and_counts_no_token(
    keys: Keys, trouble: Callable[[House], None]
) -> None:
    room = 0 if trouble is fill else 1000
    async with house(keys, bodies_bytes_max=room) as home:
        trouble(home)
        answer = await alike(home, append(home, "default"))
        assert answer.status == 503
        assert b"retry-after" in answer.head
        line = await home.line()
        await line.send(append(home, "default"))
        assert b"x-ratelimit-remaining-requests: 20\r\n" in line.transport.sent
        assert home.actor.asked == []


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        RagenError("something broke"),
        Unavailable("not now"),
        OutcomeUnknown("perhaps"),
        RateLimited("slowly", retry_after_ms=5.0),
        ZeroDivisionError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_an_actor_fails_with_is_answered_alike(
    home: House, caplog: pytest.LogCaptureFixture, error: Exception, at_once: bool
) -> None:
    if at_once:
        home.actor.raises = error
    else:
        home.actor.fails_with = error
    answer = await alike(home, append(home))
    logged = [record.getMessage() for record in caplog.records]
    assert (len(logged) == 2) == (type(error) is ZeroDivisionError)
    assert answer.status >= 429
    assert b"a bug" not in answer.body
    assert home.bytes_held == 0


async def test_both_ways_are_logged_alike(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ragen_actor.access")
    options = {"access_log": True, "trusted_proxies": ("127.0.0.0/8",)}
    async with house(keys, **options) as home:
        for name, asked in ordinary(home.key).items():
            forwarded = asked.replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 1.2.3.4, 9.9.9.9")
            caplog.clear()
            await home.meet(forwarded, by_framework=False)
            await home.meet(forwarded, by_framework=True)
            lines = [
                re.sub(r" [\d.]+ms req_[0-9a-f]{32}$", "", record.getMessage())
                for record in caplog.records
                if "/healthz" not in record.getMessage()
            ]
            assert len(lines) == 2, name
            assert lines[0] == lines[1]
            assert lines[0].startswith("9.9.9.9 ")


@pytest.mark.parametrize("origin", ["https://a.example", "https://b.example", None])
async def test_pages_of_other_origins_are_told_alike(keys: Keys, origin: str | None) -> None:
    async with house(keys, cors_origins=("https://a.example",)) as home:
        fields = [f"Origin: {origin}"] if origin else []
        answer = await alike(home, append(home, "unlimited", *fields))
        assert (b"Access-Control-Allow-Origin" in answer.head) == (origin == "https://a.example")
