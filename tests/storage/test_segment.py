from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.segment import (
    ALIGNMENT,
    BATCHES_AT,
    FREED_AT,
    Frame,
    Header,
    aligned,
    batch_bytes,
    batches,
    pack_batch,
)

FRAMES = st.lists(
    st.builds(
        Frame,
        path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        generation=st.integers(0, 2**32 - 1),
        offset=st.integers(0, 2**64 - 1),
        data=st.binary(max_size=700),
    ),
    max_size=4,
)
SAMPLE = [Frame("orgs/acme/catalog.jsonl", 1, 77, b"line\n"), Frame("b", 2, 0, b"x" * 600)]


def segment(use: int, *its: tuple[int, list[Frame]]) -> bytes:
    return bytes(BATCHES_AT) + b"".join(pack_batch(use, number, frames) for number, frames in its)


@given(use=st.integers(1, 2**63), parts=st.lists(FRAMES, max_size=4))
def test_batches_are_read_back_as_they_were_packed(use: int, parts: list[list[Frame]]) -> None:
    data = segment(use, *enumerate(parts, 5))
    found = list(batches(data, use))
    assert [batch.number for batch in found] == list(range(5, 5 + len(parts)))
    assert [list(batch.frames) for batch in found] == parts
    place = BATCHES_AT
    for batch, frames in zip(found, parts, strict=True):
        assert batch.offset == place
        assert batch.end - place == len(pack_batch(use, 1, frames)) == batch_bytes(frames)
        place = batch.end
    assert place == len(data)


@given(st.integers(0, 2**40))
def test_a_batch_begins_at_the_next_multiple_of_512(offset: int) -> None:
    assert 0 <= aligned(offset) - offset < ALIGNMENT == 512
    assert aligned(offset) % ALIGNMENT == 0


def test_what_an_earlier_use_left_behind_is_never_taken_for_a_batch() -> None:
    new, old = pack_batch(8, 41, SAMPLE), segment(4, *[(n, SAMPLE) for n in range(30, 36)])
    data = old[:BATCHES_AT] + new + old[BATCHES_AT + len(new) :]
    assert [batch.number for batch in batches(data, 8)] == [41]
    assert list(batches(data, 5)) == []
    assert [batch.number for batch in batches(data, 4)] == [31, 32, 33, 34, 35]


@pytest.mark.parametrize("flip", [1, 0x80])
def test_a_batch_with_any_byte_changed_counts_as_nothing_and_hides_no_other(flip: int) -> None:
    parts = [(number, SAMPLE) for number in (1, 2, 3)]
    data = segment(9, *parts)
    _, second, third = batches(data, 9)
    body = second.offset + len(pack_batch(9, 2, SAMPLE).rstrip(b"\0"))
    for place in range(second.offset, body):
        changed = bytearray(data)
        changed[place] ^= flip
        found = list(batches(bytes(changed), 9))
        assert [batch.number for batch in found] == [1, 3], place
        assert found[1] == third


def test_a_batch_that_was_cut_counts_as_nothing() -> None:
    data = segment(9, (1, SAMPLE), (2, SAMPLE))
    end = len(data.rstrip(b"\0"))
    second = list(batches(data, 9))[1].offset
    for length in range(second, end, 7):
        assert [batch.number for batch in batches(data[:length], 9)] == [1]
        padded = data[:length].ljust(len(data), b"\0")
        assert [batch.number for batch in batches(padded, 9)] == [1]


def test_a_segment_of_zeros_holds_nothing() -> None:
    zeros = bytes(64 * 1024)
    assert list(batches(zeros, 0)) == []
    assert Header.unpack(zeros[:BATCHES_AT]) is None


@given(
    use=st.integers(0, 2**64 - 1),
    in_use=st.booleans(),
    first=st.integers(0, 2**64 - 1),
    through=st.integers(0, 2**64 - 1),
)
def test_a_header_is_read_back_as_it_was_packed(
    use: int, in_use: bool, first: int, through: int
) -> None:
    header = Header(use, in_use, first, through)
    data = header.pack()
    assert len(data) == FREED_AT == 512
    assert Header.unpack(data) == header


def test_a_header_with_any_byte_changed_is_refused() -> None:
    data = Header(7, True, 100, 99).pack()
    for place in range(len(data.rstrip(b"\0"))):
        changed = bytearray(data)
        changed[place] ^= 1
        assert Header.unpack(bytes(changed)) is None, place


def test_a_header_and_the_one_that_freed_the_last_use_are_two_sectors() -> None:
    assert len(Header(2**64 - 1, True, 2**64 - 1, 2**64 - 1).pack()) == FREED_AT == 512
