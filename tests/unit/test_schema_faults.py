from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import (
    parse_create_message,
    parse_create_thread,
    parse_modify_message,
    parse_modify_thread,
)

Parse = Callable[[bytes], object]


def create_thread(body: bytes) -> object:
    return parse_create_thread(body, messages_max=2)


def fault(parse: Parse, value: object) -> tuple[str, str | None, str | None]:
    with pytest.raises(InvalidRequest) as refused:
        parse(json.dumps(value).encode())
    return refused.value.message, refused.value.param, refused.value.code


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": "x"} | fields


def part(**fields: Any) -> dict[str, Any]:
    return message(content=[fields])


def type_fault(param: str, expected: str, got: str) -> tuple[str, str, str]:
    text = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    return text, param, "invalid_type"


def missing(param: str) -> tuple[str, str, str]:
    return f"Missing required parameter: '{param}'.", param, "missing_required_parameter"


def unknown(param: str) -> tuple[str, str, str]:
    return f"Unknown parameter: '{param}'.", param, "unknown_parameter"


def value_fault(param: str, value: str, supported: str) -> tuple[str, str, str]:
    text = f"Invalid value: '{value}'. Supported values are: {supported}."
    return text, param, "invalid_value"


def long_string(param: str, most: int, length: int) -> tuple[str, str, str]:
    text = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {length} instead."
    )
    return text, param, "string_above_max_length"


def empty_string(param: str) -> tuple[str, str, str]:
    text = (
        f"Invalid '{param}': empty string. Expected a string with minimum length 1, "
        "but got an empty string instead."
    )
    return text, param, "empty_string"


def long_array(param: str, most: int, length: int) -> tuple[str, str, str]:
    text = (
        f"Invalid '{param}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {length} instead."
    )
    return text, param, "array_above_max_length"


ROLES = "'user' and 'assistant'"
PARTS = "'text', 'image_url', and 'image_file'"
DETAILS = "'auto', 'low', and 'high'"
TOOLS = "'code_interpreter' and 'file_search'"
ROLE_TYPES = "one of 'user' or 'assistant'"
CONTENT_TYPES = "one of a string or array of objects"
TEXT = {"type": "text", "text": "x"}

MESSAGE_FAULTS: list[tuple[Any, tuple[str, str, str]]] = [
    (message(role="human"), value_fault("role", "human", ROLES)),
    (message(role="User"), value_fault("role", "User", ROLES)),
    (message(role=""), value_fault("role", "", ROLES)),
    (message(role=None), type_fault("role", ROLE_TYPES, "null")),
    (message(role=1), type_fault("role", ROLE_TYPES, "an integer")),
    ({"content": "x"}, missing("role")),
    ({"role": "user"}, missing("content")),
    ({}, missing("role")),
    (message(foo=1), unknown("foo")),
    (message(title="x"), unknown("title")),
    (message(content=None), type_fault("content", CONTENT_TYPES, "null")),
    (message(content={}), type_fault("content", CONTENT_TYPES, "an object")),
    (message(content=1.5), type_fault("content", CONTENT_TYPES, "a decimal number")),
    (message(content=2**200), type_fault("content", CONTENT_TYPES, "an integer")),
    (message(content=""), empty_string("content")),
    (message(content="é" * 256_001), long_string("content", 256_000, 256_001)),
    (
        message(content=[]),
        (
            "Invalid 'content': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
            "content",
            "empty_array",
        ),
    ),
    (message(content=[TEXT] * 513), long_array("content", 512, 513)),
    (message(content=[TEXT] * 600 + [1]), long_array("content", 512, 601)),
    (message(content=[1] * 600), type_fault("content[0]", "an object", "an integer")),
    (
        message(attachments=[{"file_id": "f"}] * 513),
        long_array("attachments", 512, 513),
    ),
    (
        message(attachments=[{"file_id": "f", "tools": [{"type": "file_search"}] * 17}]),
        long_array("attachments[0].tools", 16, 17),
    ),
    (
        message(attachments=[{"file_id": "f" * 257}]),
        long_string("attachments[0].file_id", 256, 257),
    ),
    (
        part(type="image_url", image_url={"url": "u" * 1_048_577}),
        long_string("content[0].image_url.url", 1_048_576, 1_048_577),
    ),
    (
        part(type="image_file", image_file={"file_id": "f" * 257}),
        long_string("content[0].image_file.file_id", 256, 257),
    ),
    (message(content=["x"]), type_fault("content[0]", "an object", "a string")),
    (message(content=[TEXT, None]), type_fault("content[1]", "an object", "null")),
    (part(text="x"), missing("content[0].type")),
    (part(type="audio"), value_fault("content[0].type", "audio", PARTS)),
    (
        part(type=True, text="x"),
        type_fault("content[0].type", "one of 'text', 'image_url', or 'image_file'", "a boolean"),
    ),
    (part(type="text"), missing("content[0].text")),
    (part(type="text", text=1), type_fault("content[0].text", "a string", "an integer")),
    (part(type="text", text=None), type_fault("content[0].text", "a string", "null")),
    (part(type="text", text=""), empty_string("content[0].text")),
    (part(type="text", text="x", foo=1), unknown("content[0].foo")),
    (part(type="text", text={}), missing("content[0].text.value")),
    (part(type="text", text={"value": ""}), empty_string("content[0].text.value")),
    (part(type="text", text={"value": "x", "a": 1}), unknown("content[0].text.a")),
    (
        message(content=[TEXT, {"type": "text", "text": "x" * 256_001}]),
        long_string("content[1].text", 256_000, 256_001),
    ),
    (part(type="image_url"), missing("content[0].image_url")),
    (part(type="image_url", text="x"), unknown("content[0].text")),
    (
        part(type="image_url", image_url="u"),
        type_fault("content[0].image_url", "an object", "a string"),
    ),
    (part(type="image_url", image_url={}), missing("content[0].image_url.url")),
    (part(type="image_url", image_url={"url": ""}), empty_string("content[0].image_url.url")),
    (
        part(type="image_url", image_url={"url": "u", "detail": "huge"}),
        value_fault("content[0].image_url.detail", "huge", DETAILS),
    ),
    (part(type="image_file", image_file={}), missing("content[0].image_file.file_id")),
    (
        part(type="image_file", image_file={"file_id": 1}),
        type_fault("content[0].image_file.file_id", "a string", "an integer"),
    ),
    (message(attachments={}), type_fault("attachments", "an array of objects", "an object")),
    (message(attachments=[1]), type_fault("attachments[0]", "an object", "an integer")),
    (message(attachments=[{}]), missing("attachments[0].file_id")),
    (message(attachments=[{"file_id": ""}]), empty_string("attachments[0].file_id")),
    (message(attachments=[{"file_id": "f", "x": 1}]), unknown("attachments[0].x")),
    (
        message(attachments=[{"file_id": "f", "tools": [{"type": "function"}]}]),
        value_fault("attachments[0].tools[0].type", "function", TOOLS),
    ),
    (
        message(attachments=[{"file_id": "f", "tools": [{}]}]),
        missing("attachments[0].tools[0].type"),
    ),
    (message(metadata=[]), type_fault("metadata", "an object", "an array")),
    (message(metadata={"k": True}), type_fault("metadata.k", "a string", "a boolean")),
    (message(metadata={"k": None}), type_fault("metadata.k", "a string", "null")),
    (message(metadata={"k": "v" * 513}), long_string("metadata.k", 512, 513)),
    (
        message(metadata={f"k{n}": "v" for n in range(17)}),
        (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 "
            "properties, but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
    ),
    (
        message(metadata={"K" * 65: "v"}),
        (
            f"Invalid property name in 'metadata': '{'K' * 65}' is too long. Expected a string "
            "with maximum length 64, but got a string with length 65 instead.",
            f"metadata.{'K' * 65}",
            "property_name_above_max_length",
        ),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), MESSAGE_FAULTS)
def test_each_fault_of_a_message_is_worded(sent: Any, expected: tuple[str, str, str]) -> None:
    assert fault(parse_create_message, sent) == expected


@pytest.mark.parametrize(("sent", "expected"), MESSAGE_FAULTS)
def test_a_message_in_a_thread_create_has_the_same_faults_under_its_own_name(
    sent: Any, expected: tuple[str, str, str]
) -> None:
    text, param, code = expected
    got = fault(create_thread, {"messages": [message(), sent]})
    renamed = (
        text if code == "invalid_value" else text.replace(f"'{param}'", f"'messages[1].{param}'")
    )
    if code == "property_name_above_max_length":
        renamed = text.replace("'metadata'", "'messages[1].metadata'")
    assert got == (renamed, f"messages[1].{param}", code)


THREAD_FAULTS: list[tuple[Any, tuple[str, str, str]]] = [
    ({"messages": {}}, type_fault("messages", "an array of objects", "an object")),
    ({"messages": [None]}, type_fault("messages[0]", "an object", "null")),
    ({"messages": [message()] * 3}, long_array("messages", 2, 3)),
    ({"foo": None}, unknown("foo")),
    ({"title": 1}, type_fault("title", "a string", "an integer")),
    ({"title": "t" * 257}, long_string("title", 256, 257)),
    ({"assistant_id": []}, type_fault("assistant_id", "a string", "an array")),
    ({"assistant_id": "a" * 257}, long_string("assistant_id", 256, 257)),
    ({"metadata": {"k": None}}, type_fault("metadata.k", "a string", "null")),
]
RESOURCE_FAULTS: list[tuple[Any, tuple[str, str, str]]] = [
    ([], type_fault("tool_resources", "an object", "an array")),
    ({"x": {}}, unknown("tool_resources.x")),
    ({"file_search": 1}, type_fault("tool_resources.file_search", "an object", "an integer")),
    ({"file_search": {"x": 1}}, unknown("tool_resources.file_search.x")),
    (
        {"file_search": {"vector_store_ids": ["a", "b"]}},
        long_array("tool_resources.file_search.vector_store_ids", 1, 2),
    ),
    (
        {"code_interpreter": {"file_ids": ["f"] * 21}},
        long_array("tool_resources.code_interpreter.file_ids", 20, 21),
    ),
    (
        {"code_interpreter": {"file_ids": ["f" * 257]}},
        long_string("tool_resources.code_interpreter.file_ids[0]", 256, 257),
    ),
    (
        {"file_search": {"vector_store_ids": ["v" * 257]}},
        long_string("tool_resources.file_search.vector_store_ids[0]", 256, 257),
    ),
    (
        {"code_interpreter": {"file_ids": "f"}},
        type_fault("tool_resources.code_interpreter.file_ids", "an array of strings", "a string"),
    ),
    (
        {"code_interpreter": {"file_ids": ["f", 1]}},
        type_fault("tool_resources.code_interpreter.file_ids[1]", "a string", "an integer"),
    ),
    (
        {"code_interpreter": {"vector_stores": 1}},
        unknown("tool_resources.code_interpreter.vector_stores"),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), THREAD_FAULTS)
def test_each_fault_of_a_thread_is_worded(sent: Any, expected: tuple[str, str, str]) -> None:
    assert fault(create_thread, sent) == expected


@pytest.mark.parametrize(("sent", "expected"), RESOURCE_FAULTS)
@pytest.mark.parametrize("parse", [create_thread, parse_modify_thread])
def test_each_fault_of_tool_resources_is_worded(
    parse: Parse, sent: Any, expected: tuple[str, str, str]
) -> None:
    assert fault(parse, {"tool_resources": sent}) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"assistant_id": "asst-p"}, unknown("assistant_id")),
        ({"assistant_id": None}, unknown("assistant_id")),
        ({"messages": []}, unknown("messages")),
        ({"title": {}}, type_fault("title", "a string", "an object")),
        ({"metadata": {"k": 1}}, type_fault("metadata.k", "a string", "an integer")),
        ({"metadata": "x"}, type_fault("metadata", "an object", "a string")),
    ],
)
def test_each_fault_of_a_threads_change_is_worded(
    sent: Any, expected: tuple[str, str, str]
) -> None:
    assert fault(parse_modify_thread, sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"content": "x"}, unknown("content")),
        ({"role": "user"}, unknown("role")),
        ({"metadata": {"k": "v" * 513}}, long_string("metadata.k", 512, 513)),
        ({"metadata": {"k": False}}, type_fault("metadata.k", "a string", "a boolean")),
        (
            {"metadata": {f"k{n}": None for n in range(513)}},
            (
                "Invalid 'metadata': too many properties. Expected an object with at most 512 "
                "properties, but got an object with 513 properties instead.",
                "metadata",
                "object_above_max_properties",
            ),
        ),
    ],
)
def test_each_fault_of_a_messages_change_is_worded(
    sent: Any, expected: tuple[str, str, str]
) -> None:
    assert fault(parse_modify_message, sent) == expected


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ([], "an array"),
        ("x", "a string"),
        (None, "null"),
        (True, "a boolean"),
        (1, "an integer"),
        (1.5, "a decimal number"),
    ],
)
@pytest.mark.parametrize(
    "parse", [create_thread, parse_modify_thread, parse_create_message, parse_modify_message]
)
def test_a_body_that_is_no_object_is_refused(parse: Parse, sent: Any, got: str) -> None:
    text = f"Invalid type for the request body: expected an object, but got {got} instead."
    assert fault(parse, sent) == (text, None, "invalid_type")


def test_the_first_fault_in_the_order_sent_is_the_one_that_is_named() -> None:
    assert fault(parse_create_message, {"foo": 1, "role": "human"})[1] == "foo"
    assert fault(parse_create_message, {"role": "human", "foo": 1})[1] == "role"
    assert fault(parse_create_message, {"content": ""})[1] == "content"


@pytest.mark.parametrize("name", ["a\nb", "x" * 100_000, "\x00", "\u2028", "\x1b[31m"])
def test_what_the_client_sent_is_repeated_short_and_on_one_line(name: str) -> None:
    for sent in ({name: 1}, message(role=name), message(metadata={name * 100: "v"})):
        text, param, _ = fault(parse_create_message, sent)
        assert text.isprintable() and len(text) < 500
        assert param is not None and param.isprintable() and len(param) < 500
