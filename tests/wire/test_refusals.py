"""Every 400 of a request body whose words a client may match, each exactly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.conftest import files_of, grown
from tests.wire.http_call import Answer, Api


def refusal(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def too_long(param: str, most: int, length: int) -> dict[str, Any]:
    return refusal(
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {length} instead.",
        param,
        "string_above_max_length",
    )


def long_array(param: str, most: int, length: int) -> dict[str, Any]:
    return refusal(
        f"Invalid '{param}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {length} instead.",
        param,
        "array_above_max_length",
    )


TURN: dict[str, object] = {"role": "user", "content": "x"}

OF_METADATA: list[tuple[object, dict[str, Any]]] = [
    (
        {f"k{number}": "v" for number in range(17)},
        refusal(
            "Invalid 'metadata': too many properties. Expected an object with at most 16 "
            "properties, but got an object with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
    ),
    (
        {"k": True},
        refusal(
            "Invalid type for 'metadata.k': expected a string, but got a boolean instead.",
            "metadata.k",
            "invalid_type",
        ),
    ),
    ({"k": "v" * 513}, too_long("metadata.k", 512, 513)),
    ({"k": "😀" * 513}, too_long("metadata.k", 512, 513)),
]

OF_MESSAGES: list[tuple[dict[str, object], dict[str, Any]]] = [
    (
        {"role": "human", "content": "x"},
        refusal(
            "Invalid value: 'human'. Supported values are: 'user' and 'assistant'.",
            "role",
            "invalid_value",
        ),
    ),
    (
        {"content": "x"},
        refusal("Missing required parameter: 'role'.", "role", "missing_required_parameter"),
    ),
    (
        {"role": "user"},
        refusal("Missing required parameter: 'content'.", "content", "missing_required_parameter"),
    ),
    (TURN | {"foo": 1}, refusal("Unknown parameter: 'foo'.", "foo", "unknown_parameter")),
    (TURN | {"content": "x" * 256_001}, too_long("content", 256_000, 256_001)),
    (TURN | {"content": "😀" * 256_001}, too_long("content", 256_000, 256_001)),
]

OF_THREADS: list[tuple[dict[str, object], dict[str, Any]]] = [
    ({"foo": 1}, refusal("Unknown parameter: 'foo'.", "foo", "unknown_parameter")),
    ({"title": "t" * 257}, too_long("title", 256, 257)),
    (
        {"tool_resources": {"code_interpreter": {"file_ids": ["f"] * 21}}},
        long_array("tool_resources.code_interpreter.file_ids", 20, 21),
    ),
    (
        {"tool_resources": {"file_search": {"vector_store_ids": ["v"] * 2}}},
        long_array("tool_resources.file_search.vector_store_ids", 1, 2),
    ),
]

OF_NESTED: list[tuple[list[object], dict[str, Any]]] = [
    (
        [{"role": "user"}],
        refusal(
            "Missing required parameter: 'messages[0].content'.",
            "messages[0].content",
            "missing_required_parameter",
        ),
    ),
    (
        [TURN, {"content": "x"}],
        refusal(
            "Missing required parameter: 'messages[1].role'.",
            "messages[1].role",
            "missing_required_parameter",
        ),
    ),
    (
        [TURN, TURN | {"foo": 1}],
        refusal("Unknown parameter: 'messages[1].foo'.", "messages[1].foo", "unknown_parameter"),
    ),
    (
        [TURN | {"metadata": {"k": True}}],
        refusal(
            "Invalid type for 'messages[0].metadata.k': expected a string, "
            "but got a boolean instead.",
            "messages[0].metadata.k",
            "invalid_type",
        ),
    ),
    ([TURN] * 513, long_array("messages", 512, 513)),
]


def assert_refused(answer: Answer, expected: dict[str, Any]) -> None:
    assert answer.status == 400
    assert answer.error == expected


@pytest.mark.parametrize(("metadata", "expected"), OF_METADATA)
def test_bad_metadata_is_refused_alike_everywhere(
    api: Api, metadata: object, expected: dict[str, Any]
) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}"
    message = f"{path}/messages/{api.new_message(thread)['id']}"
    before = files_of(api.server.data_dir)
    body = {"metadata": metadata}
    assert_refused(api.call("POST", "/v1/threads", body), expected)
    assert_refused(api.call("POST", path, body), expected)
    assert_refused(api.call("PATCH", path, body), expected)
    assert_refused(api.call("POST", message, body), expected)
    assert_refused(api.call("POST", f"{path}/messages", TURN | body), expected)
    assert grown(api.server.data_dir, before) == []


@pytest.mark.parametrize(("length", "status"), [(64, 200), (65, 400)])
def test_a_metadata_key_has_at_most_64_characters(api: Api, length: int, status: int) -> None:
    key = "K" * length
    answer = api.call("POST", "/v1/threads", {"metadata": {key: "v" * 512}})
    assert answer.status == status
    if status == 400:
        assert answer.error["message"] == (
            f"Invalid property name in 'metadata': '{key}' is too long. Expected a string with "
            "maximum length 64, but got a string with length 65 instead."
        )
        assert answer.error["param"] == f"metadata.{key}"


@pytest.mark.parametrize(("body", "expected"), OF_MESSAGES)
def test_a_bad_message_is_refused_and_nothing_is_written(
    api: Api, body: object, expected: dict[str, Any]
) -> None:
    path = f"/v1/threads/{api.new_thread()['id']}/messages"
    assert_refused(api.call("POST", path, body), expected)
    assert api.page(path)["data"] == []


@pytest.mark.parametrize(("body", "expected"), OF_THREADS)
def test_a_bad_thread_is_refused_on_create_and_on_modify(
    api: Api, body: object, expected: dict[str, Any]
) -> None:
    path = f"/v1/threads/{api.new_thread()['id']}"
    before = files_of(api.server.data_dir)
    assert_refused(api.call("POST", "/v1/threads", body), expected)
    assert_refused(api.call("POST", path, body), expected)
    assert_refused(api.call("PATCH", path, body), expected)
    assert grown(api.server.data_dir, before) == []


@pytest.mark.parametrize(("messages", "expected"), OF_NESTED)
def test_a_create_with_one_bad_message_makes_nothing(
    api: Api, messages: object, expected: dict[str, Any]
) -> None:
    before = files_of(api.server.data_dir)
    assert_refused(api.call("POST", "/v1/threads", {"messages": messages}), expected)
    assert grown(api.server.data_dir, before) == []


def test_a_create_takes_512_messages_in_their_order(api: Api) -> None:
    turns = [{"role": "user", "content": str(place)} for place in range(512)]
    path = f"/v1/threads/{api.new_thread(messages=turns)['id']}/messages"
    page = api.page(path, "order=asc&limit=100")
    seen = page["data"]
    while page["has_more"]:
        page = api.page(path, f"order=asc&limit=100&after={page['last_id']}")
        seen += page["data"]
    assert [message["content"][0]["text"]["value"] for message in seen] == [
        turn["content"] for turn in turns
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", "text"),
        ("metadata", []),
        ("metadata", 7),
        ("title", 7),
        ("title", {}),
        ("tool_resources", []),
        ("tool_resources", "x"),
        ("messages", {}),
        ("messages", "x"),
        ("assistant_id", 7),
    ],
)
def test_a_field_of_a_wrong_type_is_named(api: Api, name: str, value: object) -> None:
    answer = api.call("POST", "/v1/threads", {name: value})
    assert answer.status == 400
    assert answer.error["message"].startswith(f"Invalid type for '{name}': expected ")
    assert answer.error["message"].endswith(" instead.")
    assert (answer.error["param"], answer.error["code"]) == (name, "invalid_type")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"true", b"[{}]"])
def test_a_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    for path in ("/v1/threads", f"/v1/threads/{api.new_thread()['id']}/messages"):
        answer = api.call("POST", path, body=body)
        assert answer.status == 400
        assert answer.error["type"] == "invalid_request_error"
