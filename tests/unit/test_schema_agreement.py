"""The typed decoder and the slow walk are two halves of one rule: here they are held together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import objects, requests

DOORS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "create_message": (requests._create_message, requests._new_message),
    "modify_message": (requests._modify_message, requests._message_change),
    "create_thread": (requests._create_thread(512), requests._new_thread),
    "modify_thread": (requests._modify_thread, requests._thread_change),
}
thorough = settings(derandomize=True, deadline=None, max_examples=200, database=None)


def outcome(read: Callable[[bytes], Any], made: Callable[[Any], object], body: bytes) -> object:
    try:
        return made(read(body))
    except (InvalidRequest, msgspec.DecodeError, ValueError, RecursionError) as fault:
        return fault


def hold_together(name: str, body: bytes) -> None:
    door, made = DOORS[name]
    fast = outcome(door.fast, made, body)
    slow = outcome(door.slow, made, body)
    read = outcome(door.read, made, body or b"{}")
    if not isinstance(fast, Exception):
        assert slow == fast == read
    elif isinstance(slow, Exception):
        assert isinstance(slow, InvalidRequest)
        assert slow.message != requests.UNWORDED
        assert slow.message.isprintable()
        assert str(read) == str(slow) or not body
        msgspec.json.encode([slow.message, slow.param, slow.code])
    else:
        assert read == slow
    if not isinstance(read, Exception):
        msgspec.json.encode(read)


odd: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        1.5,
        "",
        "x",
        [],
        {},
        [[]],
        ["x"],
        [1],
        {"": ""},
        {"a": None},
        {"a": 1},
        10**30,
        float("inf"),
        float("nan"),
        "\ud800",
        "\x00",
        "😀",
        {"\udfff": "x"},
        ["x"] * 21,
        "k" * 65,
        "v" * 513,
        "t" * 257,
        "c" * 256_001,
        {"k" * 65: "x"},
        {"k": "v" * 513},
        {str(n): "" for n in range(17)},
    ]
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda die: odd if die == 9 else good)


def record(
    required: dict[str, st.SearchStrategy[Any]],
    optional: dict[str, st.SearchStrategy[Any]] | None = None,
) -> st.SearchStrategy[Any]:
    """Objects of known fields, now and then one too few, one too many, or something odd."""
    known = {name: mostly(values) for name, values in required.items()}
    others = {name: mostly(values) for name, values in (optional or {}).items()}
    good = st.fixed_dictionaries(known, optional=others)
    any_of_them = st.fixed_dictionaries({}, optional={**known, **others, "foo": odd, "type": odd})
    return st.integers(0, 9).flatmap(lambda die: any_of_them if die == 9 else good)


word = st.text(max_size=5)
some = st.text(min_size=1, max_size=5)
detail = {"detail": st.sampled_from(["auto", "low", "high", None, "huge"])}
text_object = record({"value": some}, {"annotations": odd})
part = st.one_of(
    record({"type": st.just("text"), "text": some | text_object}),
    record({"type": st.just("image_url"), "image_url": record({"url": some}, detail)}),
    record({"type": st.just("image_file"), "image_file": record({"file_id": some}, detail)}),
)
tool = record({"type": st.sampled_from(["code_interpreter", "file_search", "function"])})
attachment = record({"file_id": some}, {"tools": st.lists(mostly(tool), max_size=2)})
metadata = st.dictionaries(word, mostly(word), max_size=4)
message = record(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": some | st.lists(mostly(part), max_size=3),
    },
    {
        "attachments": st.lists(mostly(attachment), max_size=2),
        "metadata": metadata,
        "file_ids": odd,
    },
)
few_ids = st.lists(mostly(some), max_size=2)
tool_resources = record(
    {},
    {
        "code_interpreter": record({}, {"file_ids": few_ids}),
        "file_search": record({}, {"vector_store_ids": few_ids, "vector_stores": odd}),
    },
)
thread = record(
    {},
    {
        "messages": st.lists(mostly(message), max_size=3),
        "metadata": metadata,
        "tool_resources": tool_resources,
        "title": word,
        "assistant_id": word,
        "file_ids": odd,
    },
)

metadata_change = st.dictionaries(word, mostly(word | st.none()), max_size=4)
message_change = record({}, {"metadata": metadata_change, "file_ids": odd})
thread_change = record(
    {},
    {
        "metadata": metadata_change,
        "tool_resources": tool_resources,
        "title": word,
        "file_ids": odd,
    },
)


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """JSON texts, of which some are bent: a name twice, a byte more, less or other."""
    value = draw(values)
    sent = json.dumps(value, ensure_ascii=draw(st.booleans()))
    bend = draw(st.sampled_from(["no", "no", "twice", "cut", "insert", "overwrite", "number"]))
    if bend == "twice" and isinstance(value, dict) and value and sent.startswith("{"):
        name = draw(st.sampled_from(sorted(value)))
        sent = "{" + json.dumps(name) + ":" + json.dumps(draw(odd)) + "," + sent[1:]
    elif bend == "number":
        sent = sent.replace("1.5", "1e999", 1).replace("Infinity", "9" * 5000, 1)
    body = sent.encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(body)))
    if bend == "cut":
        return body[:place]
    if bend in ("insert", "overwrite"):
        junk = draw(st.sampled_from([b"\xff", b'"', b"\\", b"\x00", b",", b"}", b"[", b"\\ud800"]))
        return body[:place] + junk + body[place + (bend == "overwrite") * len(junk) :]
    return body


@thorough
@given(texts(mostly(message)))
def test_both_ways_agree_on_every_message(body: bytes) -> None:
    hold_together("create_message", body)


@thorough
@given(texts(mostly(thread)))
def test_both_ways_agree_on_every_thread(body: bytes) -> None:
    hold_together("create_thread", body)


@thorough
@given(texts(mostly(thread_change)))
def test_both_ways_agree_on_every_change_of_a_thread(body: bytes) -> None:
    hold_together("modify_thread", body)


@thorough
@given(texts(mostly(message_change)))
def test_both_ways_agree_on_every_change_of_a_message(body: bytes) -> None:
    hold_together("modify_message", body)


@settings(thorough, max_examples=200)
@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"file_ids":' + b"[" * 500 + b"]" * 500 + b"}")
@example(b'{"role":"user","content":"x","file_ids":' + b"[" * 500 + b"]" * 500 + b"}")
def test_no_bytes_whatever_raise_anything_but_an_invalid_request(body: bytes) -> None:
    for name in DOORS:
        hold_together(name, body)


@pytest.mark.parametrize("name", DOORS)
def test_the_walk_agrees_at_each_bound(name: str) -> None:
    lengths: dict[str, list[Any]] = {
        "content": [
            *("x" * length for length in (256_000, 256_001)),
            *([{"type": "text", "text": "x"}] * count for count in (512, 513)),
            *(
                [{"type": "image_url", "image_url": {"url": "u" * n}}]
                for n in (1_048_576, 1_048_577)
            ),
            *([{"type": "image_file", "image_file": {"file_id": "f" * n}}] for n in (256, 257)),
        ],
        "title": ["x" * 256, "x" * 257],
        "assistant_id": ["x" * 256, "x" * 257],
        "attachments": [
            *([{"file_id": "f"}] * count for count in (512, 513)),
            *([{"file_id": "f" * length}] for length in (256, 257)),
            *([{"file_id": "f", "tools": [{"type": "file_search"}] * n}] for n in (16, 17)),
        ],
        "metadata": [
            {str(n): "" for n in range(16)},
            {str(n): "" for n in range(17)},
            *({str(n): None for n in range(count)} for count in (512, 513)),
            {"k" * 64: "v" * 512},
            {"k" * 65: ""},
            {"k": "v" * 513},
        ],
        "tool_resources": [
            {
                "code_interpreter": {"file_ids": ["f"] * 20},
                "file_search": {"vector_store_ids": ["v"]},
            },
            {"code_interpreter": {"file_ids": ["f"] * 21}},
            *({"code_interpreter": {"file_ids": ["f" * n]}} for n in (256, 257)),
            *({"file_search": {"vector_store_ids": ["v" * n]}} for n in (256, 257)),
            {"file_search": {"vector_store_ids": ["v", "w"]}},
        ],
    }
    for field, values in lengths.items():
        for value in values:
            hold_together(name, json.dumps({"role": "user", "content": "x", field: value}).encode())
            hold_together(name, json.dumps({field: value}).encode())


def test_messages_that_went_out_are_taken_back_in() -> None:
    content = (
        objects.TextPart(objects.Text("x")),
        objects.ImageUrlPart(objects.ImageUrl("u")),
        objects.ImageFilePart(objects.ImageFile("f")),
    )
    body = msgspec.json.encode({"role": "user", "content": content})
    assert requests.parse_create_message(body).content == content
