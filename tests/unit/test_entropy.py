from __future__ import annotations

import os

import pytest

from ragen_actor.entropy import Entropy


def test_each_random_bit_is_handed_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[bytes] = []

    def urandom(count: int) -> bytes:
        # Numbered rather than random, so that none could stand in for another unnoticed.
        first = sum(map(len, fetched)) // 4
        fetched.append(b"".join((first + each).to_bytes(4) for each in range(count // 4)))
        return fetched[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    entropy = Entropy()
    given = [entropy.bits(bits) for _ in range(400) for bits in (128, 96, 64)]
    numbers = [
        value >> shift & 0xFFFFFFFF
        for value, bits in zip(given, [128, 96, 64] * 400, strict=True)
        for shift in range(bits - 32, -1, -32)
    ]
    assert len(fetched) > 3
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("bits", [48, 64, 128])
def test_it_gives_as_many_bits_as_are_asked_for(bits: int) -> None:
    entropy = Entropy()
    highest = max(entropy.bits(bits) for _ in range(2000))
    assert 1 << (bits - 2) < highest < 1 << bits
