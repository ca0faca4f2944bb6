from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragen_actor import schema
from ragen_actor.vault.envelope import Content, Place, seal, unseal
from ragen_actor.vault.errors import SealBroken

KEY = bytes(range(32))
PLACE = Place("acme", "thread-1", "msg-1", "user")


def content(text: str) -> Content:
    return Content((schema.TextPart(schema.Text(text)),))


@given(st.text(max_size=300))
def test_what_is_sealed_opens_as_it_was(text: str) -> None:
    sealed = seal(KEY, content(text), PLACE, os.urandom)
    assert unseal(KEY, sealed, PLACE) == content(text)
    assert len(text) < 8 or text.encode() not in sealed


def test_every_changed_bit_is_noticed() -> None:
    sealed = seal(KEY, content("hello"), PLACE, os.urandom)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(SealBroken):
                unseal(KEY, bytes(changed), PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            unseal(KEY, sealed[:length], PLACE)


@pytest.mark.parametrize("field", ["org", "thread_id", "message_id", "role"])
def test_it_opens_nowhere_else(field: str) -> None:
    sealed = seal(KEY, content("hello"), PLACE, os.urandom)
    with pytest.raises(SealBroken):
        unseal(KEY, sealed, msgspec.structs.replace(PLACE, **{field: "other"}))
    with pytest.raises(SealBroken):
        unseal(KEY[::-1], sealed, PLACE)


def test_places_that_read_alike_are_not_alike() -> None:
    sealed = seal(KEY, content("hello"), Place("ac", "me", "m", "user"), os.urandom)
    with pytest.raises(SealBroken):
        unseal(KEY, sealed, Place("acm", "e", "m", "user"))


def test_no_two_seals_share_a_nonce() -> None:
    sealed = [seal(KEY, content("the same"), PLACE, os.urandom) for _ in range(1000)]
    assert len({each[1:13] for each in sealed}) == 1000
