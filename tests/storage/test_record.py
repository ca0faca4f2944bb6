from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.record import (
    DATA_AT,
    KINDS,
    LINE_BYTES_MAX,
    RecordError,
    checksum,
    encode,
    parse,
    payload,
    prefix,
)
from tests.storage.samples import message

LINE = encode("m", 7, message(7, "ähnlich"))


@given(
    kind=st.sampled_from(sorted(KINDS)),
    sequence=st.integers(0, 9_999_999_999),
    text=st.text(),
)
def test_what_is_encoded_is_read_back(kind: str, sequence: int, text: str) -> None:
    data = json.dumps({"id": text}).encode()
    line = encode(kind, sequence, data)
    assert parse(line) == (kind, sequence, data)
    assert payload(b"before" + line + b"behind", 6, len(line)) == data
    assert prefix(line[:DATA_AT]) == (kind, sequence, len(data))


def test_a_line_is_json_that_any_tool_can_read() -> None:
    assert LINE.endswith(b"}\n") and LINE.count(b"\n") == 1
    fields = json.loads(LINE)
    assert list(fields) == ["c", "v", "k", "s", "n", "d"]
    assert (fields["v"], fields["k"], int(fields["s"])) == (1, "m", 7)
    assert int(fields["n"]) == len(message(7, "ähnlich"))
    assert fields["c"].encode() == checksum(LINE)


@pytest.mark.parametrize("flip", [1, 0x20, 0x80, 0xFF])
def test_every_byte_that_is_not_as_written_is_refused(flip: int) -> None:
    for place in range(len(LINE)):
        changed = bytearray(LINE)
        changed[place] ^= flip
        with pytest.raises(RecordError):
            parse(bytes(changed))


def test_every_line_that_was_cut_is_refused() -> None:
    for length in range(len(LINE)):
        with pytest.raises(RecordError):
            parse(LINE[:length])
        with pytest.raises(RecordError):
            parse(LINE[length + 1 :])


def test_two_lines_are_no_line() -> None:
    with pytest.raises(RecordError):
        parse(LINE + LINE)


def test_the_longest_line_fits_and_one_byte_more_is_refused() -> None:
    data = b'{"id":"%b"}' % (b"x" * (LINE_BYTES_MAX - DATA_AT - 2 - 9))
    line = encode("m", 1, data)
    assert len(line) == LINE_BYTES_MAX
    assert payload(line, 0, len(line)) == data
    with pytest.raises(RecordError, match="too long"):
        encode("m", 1, data + b" ")


@given(st.binary(max_size=DATA_AT + 4))
def test_a_prefix_of_anything_is_read_as_far_as_it_is_one(data: bytes) -> None:
    kind, sequence, length = prefix(data)
    assert kind in {"", *KINDS} and sequence >= -1 and length >= -1


def test_a_prefix_says_what_a_damaged_line_was_about() -> None:
    changed = bytearray(LINE)
    changed[-5] ^= 1
    whole = ("m", 7, len(message(7, "ähnlich")))
    assert prefix(bytes(changed[:DATA_AT])) == whole
    for place, lost in ((0, -1), (5, -1), (14, -1), (21, 0), (28, 1), (40, 1), (45, 2), (55, 2)):
        changed = bytearray(LINE)
        changed[place] ^= 0x80
        found = prefix(bytes(changed[:DATA_AT]))
        for part in range(3):
            assert (found[part] in ("", -1)) == (part == lost), (place, part)


def test_a_prefix_that_is_cut_off_says_what_is_left_of_it() -> None:
    length = len(message(7, "ähnlich"))
    for cut, expected in (
        (27, ("", -1, -1)),
        (28, ("m", -1, -1)),
        (45, ("m", 7, -1)),
        (59, ("m", 7, -1)),
        (60, ("m", 7, length)),
    ):
        assert prefix(LINE[:cut]) == expected
