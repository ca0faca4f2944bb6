from __future__ import annotations

import gc
import time

import pytest

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import parse_create_message


def fault(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_create_message(body)
    assert refused.value.message.isprintable() and len(refused.value.message) < 500
    return refused.value


PREFIX = "We could not parse the JSON body of your request: "


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"role":"\xff"}', "invalid start byte at byte 9, not valid UTF-8."),
        (b'{"role":"\xed\xa0\x80"}', "invalid continuation byte at byte 9, not valid UTF-8."),
        (
            b'{"role":"user","content":"\xe2\x82',
            "unexpected end of data at byte 26, not valid UTF-8.",
        ),
        (b'{"file_ids":["\xff"]}', "invalid start byte at byte 14, not valid UTF-8."),
        ('{"role":"user"}'.encode("utf-16"), "invalid start byte at byte 0, not valid UTF-8."),
        (b"\xef\xbb\xbf{}", "byte order mark at character 0."),
        (b'{"role":NaN}', "NaN at character 8."),
        (b'{"NaN":1,"\\"NaN":-Infinity}', "-Infinity at character 17."),
        (b'{"file_ids":[Infinity]}', "Infinity at character 13."),
        (b'{"role":', "Expecting value at line 1 column 9 (character 8)."),
        (b'{"role":"us', "Unterminated string starting at line 1 column 9 (character 8)."),
        (b'{\n"role":"user"\n"a":1}', "',' delimiter at line 3 column 1 (character 16)."),
        (b'{"role":"user"} x', "Extra data at line 1 column 17 (character 16)."),
        (b'{"role":"a\x00b"}', "Invalid control character at line 1 column 11 (character 10)."),
        (b"{'role':1}", "at line 1 column 2 (character 1)."),
        (b'{"role":01}', "at line 1 column 10 (character 9)."),
        (b"x", "Expecting value at line 1 column 1 (character 0)."),
        (b" ", "Expecting value at line 1 column 2 (character 1)."),
        (b'{"a":' + b"[" * 100_000, "nested deeper than 100 levels at character 104."),
        (b'{"a":["[["' + b',{"b":["]"' * 50_000, "nested deeper than 100 levels at character 501."),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_the_place(body: bytes, reason: str) -> None:
    got = fault(body)
    assert got.message.startswith(PREFIX)
    assert got.message.endswith(reason)
    assert (got.param, got.code) == (None, None)


@pytest.mark.parametrize(
    ("body", "param", "point", "index"),
    [
        (b'{"content":"ab\\ud83d"}', "content", "D83D", 2),
        (b'{"content":"\\udE00\\ud83d"}', "content", "DE00", 0),
        (b'{"content":"\\ud83d\\ude00\\uDFFF"}', "content", "DFFF", 1),
        (b'{"content":[{"text":"x"},{"text":"\\ud800"}]}', "content[1].text", "D800", 0),
        (b'{"metadata":{"k\\ud800":"v"}}', "metadata", "D800", 1),
        (b'{"\\ud800":1}', None, "D800", 0),
        (b'"\\ud800"', None, "D800", 0),
        (b'{"file_ids":[[],"\\ud800"]}', "file_ids[1]", "D800", 0),
    ],
)
def test_a_lone_surrogate_is_refused_with_the_place(
    body: bytes, param: str | None, point: str, index: int
) -> None:
    got = fault(body)
    what = f"Invalid '{param}'" if param else "Invalid request body"
    assert got.message == (
        f"{what}: lone surrogate U+{point} at character {index} of the string. "
        "Expected valid Unicode text."
    )
    assert (got.param, got.code) == (param, "invalid_value")


def test_a_surrogate_pair_is_no_fault() -> None:
    with pytest.raises(InvalidRequest, match="Unknown parameter: 'x'"):
        parse_create_message(b'{"x":"\\ud83d\\ude00"}')


@pytest.mark.parametrize("digits", [b"9" * 5000, b"-" + b"9" * 5000, b"1e999", b"-1E+400"])
def test_numbers_without_bound_are_wrong_types_and_no_accidents(digits: bytes) -> None:
    assert fault(b'{"role":' + digits + b"}").code == "invalid_type"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[]," * 300_000 + b"[" * 2000,
        b'{"a":NaN,"' + b'\\"' * 500_000,
        b'{"role":"\\ud800","' + b"k" * 300_000 + b'":[' + b'"",' * 100_000 + b"1]}",
        b"[" * 500_000 + b'"' * 500_000,
        b'{"metadata":{' + b",".join(b'"%d":""' % n for n in range(70_000)) + b"}}",
    ],
    ids=["lists", "escapes", "names", "quotes", "pairs"],
)
def test_a_hostile_megabyte_is_refused_without_long_work(body: bytes) -> None:
    started = time.process_time()
    fault(body)
    assert time.process_time() - started < 2


def eight_mebibytes(head: bytes, item: bytes, tail: bytes) -> bytes:
    count = (8 * 1024 * 1024 - len(head) - len(tail) - len(item)) // (len(item) + 1)
    return head + (item + b",") * count + item + tail


@pytest.mark.parametrize("item", [b'""', b'"\\\\ud83d"', b'"\\ud83d\\ude00"', b"[]", b"{}"])
def test_eight_mebibytes_with_a_surrogate_pair_cost_a_scan(item: bytes) -> None:
    body = eight_mebibytes(b'{"a":[', item, b',"\\ud83d\\ude00"]}')
    started = time.process_time()
    assert fault(body).message == "Unknown parameter: 'a'."
    assert time.process_time() - started < 0.6


@pytest.mark.parametrize("item", [b'""', b"[]", b"{}"])
def test_a_lone_surrogate_after_eight_mebibytes_is_found_without_long_work(item: bytes) -> None:
    body = eight_mebibytes(b'{"a":[', item, b',"\\ud83d"]}')
    started = time.process_time()
    assert fault(body).param == f"a[{body.count(item)}]"
    assert time.process_time() - started < 2.5


def test_the_place_of_a_deep_lone_surrogate_is_an_ancestor() -> None:
    assert fault(b'{"a":' + b"[" * 90 + b'"\\udfff"' + b"]" * 90 + b"}").param == "a" + "[0]" * 7


@pytest.mark.parametrize(
    ("head", "item", "tail"),
    [
        (b'{"role":"user","content":[', b"[]", b"]}"),
        (b'{"role":"user","content":[', b"{}", b"]}"),
        (b'{"role":"user","content":[', b'{"type":"text","text":{"value":"x"}}', b"]}"),
        (b'{"role":"user","content":"x","attachments":[', b'{"file_id":"f"}', b"]}"),
        (b'{"a":[', b"[]", b"]}"),
    ],
    ids=["lists", "objects", "parts", "attachments", "unknown"],
)
def test_eight_mebibytes_at_fault_are_refused_without_long_work(
    head: bytes, item: bytes, tail: bytes
) -> None:
    body = eight_mebibytes(head, item, tail)
    started = time.process_time()
    fault(body)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""', b"1e999"])
def test_eight_mebibytes_that_are_ignored_cost_a_scan(item: bytes) -> None:
    body = eight_mebibytes(b'{"role":"user","content":"x","file_ids":[', item, b"]}")
    started = time.process_time()
    parse_create_message(body)
    assert time.process_time() - started < 0.3


def test_the_collector_is_left_as_it_was_found() -> None:
    fault(b'{"role":NaN}')
    assert gc.isenabled()
    gc.disable()
    try:
        fault(b'{"role":NaN}')
        assert not gc.isenabled()
    finally:
        gc.enable()
