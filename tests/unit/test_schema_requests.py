from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from ragen_actor.schema import (
    CreateThread,
    ModifyMessage,
    ModifyThread,
    NewMessage,
    parse_create_message,
    parse_create_thread,
    parse_modify_message,
    parse_modify_thread,
)


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def create_message(**fields: Any) -> NewMessage:
    return parse_create_message(body(**{"role": "user", "content": "x"} | fields))


def create_thread(**fields: Any) -> CreateThread:
    return parse_create_thread(body(**fields), messages_max=512)


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_string_becomes_one_text_part(role: str) -> None:
    assert plain(create_message(role=role, content="hi")) == {
        "role": role,
        "content": [text("hi")],
        "attachments": [],
        "metadata": {},
    }


def test_parts_keep_their_order_and_take_the_shape_that_goes_out() -> None:
    message = create_message(
        content=[
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "https://x", "detail": "high"}},
            {"text": "b", "type": "text"},
            {"type": "image_file", "image_file": {"file_id": "f"}},
            {"type": "image_url", "image_url": {"url": "u", "detail": None}},
        ]
    )
    assert plain(message.content) == [
        text("a"),
        {"type": "image_url", "image_url": {"url": "https://x", "detail": "high"}},
        text("b"),
        {"type": "image_file", "image_file": {"file_id": "f", "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "u", "detail": "auto"}},
    ]


@pytest.mark.parametrize(
    "annotations", [[], None, 1, [{"type": "file_citation", "start_index": 1e999}], {"a": [[]]}]
)
def test_a_part_that_was_read_from_here_can_be_sent_back(annotations: Any) -> None:
    part = {"type": "text", "text": {"value": "x", "annotations": annotations}}
    sent = json.dumps({"role": "user", "content": [part]}).replace("Infinity", "1e999")
    assert plain(parse_create_message(sent.encode()).content) == [text("x")]
    bare = {"type": "text", "text": {"value": "x"}}
    assert plain(create_message(content=[bare]).content) == [text("x")]


def test_attachments_are_echoed_as_sent() -> None:
    sent = [
        {"file_id": "f1", "tools": [{"type": "code_interpreter"}, {"type": "file_search"}]},
        {"file_id": "f2"},
        {"file_id": "f3", "tools": []},
    ]
    assert plain(create_message(attachments=sent).attachments) == sent
    assert plain(create_message(attachments=[{"file_id": "f", "tools": None}]).attachments) == [
        {"file_id": "f"}
    ]


def test_null_for_an_optional_field_counts_as_absent() -> None:
    assert create_message(attachments=None, metadata=None) == create_message()
    fields = dict.fromkeys(["messages", "metadata", "tool_resources", "title", "assistant_id"])
    assert create_thread(**fields) == create_thread() == CreateThread()


@pytest.mark.parametrize("value", [[], ["a"], None, 1, "x", {"a": [1.5, None]}, [[[1]]], 2**70])
def test_file_ids_are_ignored_whatever_they_hold(value: Any) -> None:
    assert create_message(file_ids=value) == create_message()
    assert create_thread(file_ids=value) == CreateThread()
    assert parse_modify_thread(body(file_ids=value)) == ModifyThread()
    assert parse_modify_message(body(file_ids=value)) == ModifyMessage()
    message = {"role": "user", "content": "x", "file_ids": value}
    assert create_thread(messages=[message]).messages == (create_message(),)


def test_texts_are_counted_in_code_points() -> None:
    assert plain(create_message(content="😀" * 256_000).content) == [text("😀" * 256_000)]


@pytest.mark.parametrize("value", ["\x00", "é\u2028\u202e", "\ufeff", "\U0010ffff", "😀", "\x7f"])
def test_every_other_character_is_kept(value: str) -> None:
    escaped = json.dumps({"role": "user", "content": value}).encode()
    raw = json.dumps({"role": "user", "content": value}, ensure_ascii=False).encode()
    for sent in (escaped, raw):
        assert plain(parse_create_message(sent).content) == [text(value)]


def test_metadata_holds_sixteen_pairs_of_full_length_and_empty_strings() -> None:
    metadata = {f"{n:02d}" + "é" * 62: "é" * 512 for n in range(15)} | {"": ""}
    assert create_message(metadata=metadata).metadata == metadata
    assert create_thread(metadata=metadata).metadata == metadata


@pytest.mark.parametrize("sent", [b"", b"{}", b" \r\n\t{ } "])
def test_an_empty_body_equals_an_empty_object(sent: bytes) -> None:
    assert parse_create_thread(sent, messages_max=512) == CreateThread()
    assert parse_modify_thread(sent) == ModifyThread(UNSET, UNSET, UNSET)
    assert parse_modify_message(sent) == ModifyMessage(UNSET)


def test_a_thread_takes_its_messages_and_the_pages_extensions() -> None:
    thread = create_thread(
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        title="t" * 256,
        assistant_id="asst-p",
        metadata={"k": "v"},
    )
    assert [message.role for message in thread.messages] == ["user", "assistant"]
    assert thread.title == "t" * 256
    assert thread.assistant_id == "asst-p"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, {}),
        (None, {}),
        ({"code_interpreter": {}}, {"code_interpreter": {}}),
        ({"code_interpreter": None}, {}),
        ({"code_interpreter": {"file_ids": None}}, {"code_interpreter": {}}),
        ({"code_interpreter": {"file_ids": []}}, {"code_interpreter": {"file_ids": []}}),
        (
            {"file_search": {"vector_store_ids": ["v"]}, "code_interpreter": {"file_ids": ["f"]}},
            {"file_search": {"vector_store_ids": ["v"]}, "code_interpreter": {"file_ids": ["f"]}},
        ),
        ({"file_search": {"vector_stores": [{"file_ids": ["f"]}]}}, {"file_search": {}}),
        (
            {"file_search": {"vector_stores": 1, "vector_store_ids": []}},
            {"file_search": {"vector_store_ids": []}},
        ),
    ],
)
def test_tool_resources_are_echoed_but_for_vector_stores(sent: Any, kept: Any) -> None:
    assert plain(create_thread(tool_resources=sent).tool_resources) == kept
    assert plain(parse_modify_thread(body(tool_resources=sent)).tool_resources) == kept


def test_a_change_tells_null_from_absent() -> None:
    assert parse_modify_thread(body(title=None)) == ModifyThread(title=None)
    assert parse_modify_thread(body(metadata=None)) == ModifyThread(metadata=None)
    assert parse_modify_thread(body(metadata={"a": None, "b": ""})) == ModifyThread(
        metadata={"a": None, "b": ""}
    )
    assert parse_modify_message(body(metadata=None)) == ModifyMessage(metadata=None)
    assert parse_modify_message(body(metadata={"a": None})) == ModifyMessage(metadata={"a": None})


def test_a_change_may_name_more_pairs_than_an_object_may_hold() -> None:
    removed = dict.fromkeys([f"k{n}" for n in range(40)])
    assert parse_modify_message(body(metadata=removed)).metadata == removed


@pytest.mark.parametrize(
    "sent",
    [
        b'{"role":"user","content":1,"content":"x"}',
        b'{"role":7,"content":"x","role":"user"}',
        b'{"role":"user","content":"\\ud800","content":"x"}',
        b'{"role":"user","content":[{"type":"image_url","text":"x","type":"text"}]}',
        b'{"role":"user","content":"x","metadata":{"a":1},"metadata":{}}',
        b'{"r\\u006fle":"user","content":"x"}',
    ],
)
def test_of_a_field_given_twice_the_last_one_counts(sent: bytes) -> None:
    assert parse_create_message(sent) == create_message()


def test_a_thread_takes_as_many_messages_as_the_setting_says() -> None:
    messages = [{"role": "user", "content": "x"}] * 3
    sent = body(messages=messages)
    assert len(parse_create_thread(sent, messages_max=3).messages) == 3
