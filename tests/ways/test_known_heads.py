"""Blocks of header fields that came before: they mean the same when they come again."""

from __future__ import annotations

import string

import pytest

from ragen_actor.web import head
from tests.ways.house import House, Keys
from tests.ways.requests import THREAD, TURN, ordinary, request

SHOWN = "".join(each for each in map(chr, range(33, 127)) if each not in string.whitespace)


@pytest.mark.parametrize("name", ordinary(""))
async def test_a_request_means_the_same_each_time(home: House, name: str) -> None:
    asked = ordinary(home.key)[name]
    first, again = [await home.meet(asked, by_framework=False) for _ in range(2)]
    assert again == first
    assert home.gate.by_framework == 0


@pytest.mark.parametrize("character", SHOWN)
async def test_a_target_means_the_same_before_and_behind_a_known_block(
    home: House, character: str
) -> None:
    for target in (f"{THREAD}{character}y", f"{THREAD}?a{character}b", f"/v1/threads{character}"):
        asked = request("GET", target, home.key)
        expected = await home.meet(asked, by_framework=True)
        anew = home.gate.heads.parse(asked)
        await home.meet(request("GET", THREAD, home.key), by_framework=False)
        known = home.gate.heads.parse(asked)
        assert anew is not None and known is not None
        assert (known.method, known.target, known.block, known.size) == (
            anew.method,
            anew.target,
            anew.block,
            anew.size,
        )
        assert known.is_known
        assert await home.meet(asked, by_framework=False) == expected


async def test_a_known_block_is_known_behind_every_ordinary_first_line(home: House) -> None:
    await home.meet(request("POST", THREAD, home.key, b"{}"), by_framework=False)
    assert len(home.gate.heads) == 1
    for method in ("GET", "POST", "PATCH", "DELETE"):
        asked = request(method, f"{THREAD}/messages?limit=2", home.key, b"{}")
        found = home.gate.heads.parse(asked)
        assert found is not None and found.is_known
        assert found.method == method
    for method, version in (("PUT", "1.1"), ("get", "1.1"), ("GET", "1.0"), ("HEAD", "1.1")):
        found = home.gate.heads.parse(request(method, THREAD, home.key, b"{}", version=version))
        assert found is None or not (found.is_known or found.is_ordinary)


async def test_blocks_of_strangers_are_not_kept(home: House) -> None:
    for token in ("", "sk-nobody"):
        await home.meet(request("GET", THREAD, token), by_framework=False)
    assert len(home.gate.heads) == 0
    await home.meet(request("GET", THREAD, home.key), by_framework=False)
    assert len(home.gate.heads) == 1


async def test_so_many_blocks_are_kept_and_no_long_ones(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_BLOCKS_MAX", 3)
    line = await home.line()
    for number in range(5):
        await line.send(request("GET", THREAD, home.key, b"", f"X: {number}"))
    assert len(home.gate.heads) == 3
    known = [
        parsed.is_known
        for number in range(5)
        if (parsed := home.gate.heads.parse(request("GET", THREAD, home.key, b"", f"X: {number}")))
    ]
    assert known == [False, False, True, True, True]
    await line.send(request("GET", THREAD, home.key, b"", f"X: {'x' * 2048}"))
    assert len(home.gate.heads) == 3
    assert len(line.answers) == 6


async def test_a_known_block_lets_nobody_in_whose_key_is_gone(home: House, keys: Keys) -> None:
    asked = request("POST", f"{THREAD}/messages", home.key, TURN)
    assert [each.status for each in (await home.meet(asked, by_framework=False))[0]] == [200]
    table = keys.ring._table
    try:
        keys.ring._table = type(table)({}, {})  # What the ring holds once the key is revoked.
        assert [each.status for each in (await home.meet(asked, by_framework=False))[0]] == [401]
    finally:
        keys.ring._table = table
