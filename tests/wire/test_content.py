from __future__ import annotations

from typing import Any

import pytest

from tests.wire.http_call import Api

URL = "https://example.com/cat.png"


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text", [text("text")]),
        ([{"type": "text", "text": "x"}], [text("x")]),
        ([{"type": "text", "text": {"value": "x"}}], [text("x")]),
        ([{"type": "text", "text": {"value": "x", "annotations": []}}], [text("x")]),
        (
            [{"type": "image_url", "image_url": {"url": URL}}],
            [{"type": "image_url", "image_url": {"url": URL, "detail": "auto"}}],
        ),
        (
            [{"type": "image_url", "image_url": {"url": URL, "detail": "high"}}],
            [{"type": "image_url", "image_url": {"url": URL, "detail": "high"}}],
        ),
        (
            [{"type": "image_file", "image_file": {"file_id": "file-1"}}],
            [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "auto"}}],
        ),
        (
            [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}}],
            [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}}],
        ),
        (
            [
                {"type": "text", "text": "a"},
                {"type": "image_file", "image_file": {"file_id": "file-1"}},
                {"type": "text", "text": "b"},
            ],
            [
                text("a"),
                {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "auto"}},
                text("b"),
            ],
        ),
    ],
)
def test_content_is_kept_in_openais_shape_and_order(
    api: Api, given: object, kept: list[Any]
) -> None:
    thread = api.new_thread(messages=[{"role": "user", "content": given}])["id"]
    message = api.new_message(thread, given)
    assert message["content"] == kept
    listed = api.page(f"/v1/threads/{thread}/messages")["data"]
    assert [one["content"] for one in listed] == [kept, kept]


def test_what_was_read_can_be_sent_back(api: Api) -> None:
    thread = api.new_thread()["id"]
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": URL}}]
    first = api.new_message(thread, parts)
    assert api.new_message(thread, first["content"])["content"] == first["content"]


@pytest.mark.parametrize(
    "attachments",
    [
        [],
        [{"file_id": "file-1"}],
        [{"file_id": "file-1", "tools": []}],
        [{"file_id": "file-1", "tools": [{"type": "code_interpreter"}, {"type": "file_search"}]}],
        [{"file_id": "b", "tools": [{"type": "file_search"}]}, {"file_id": "a"}],
    ],
)
def test_attachments_are_echoed_as_sent(api: Api, attachments: list[Any]) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread, attachments=attachments)
    assert message["attachments"] == attachments
    assert api.ok("GET", f"/v1/threads/{thread}/messages/{message['id']}") == message


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_a_text_may_have_256000_code_points_of_any_script(api: Api, letter: str) -> None:
    value = letter * 256_000
    message = api.new_message(api.new_thread()["id"], value)
    assert message["content"] == [text(value)]


@pytest.mark.parametrize("count", [1, 256_000])
def test_a_text_part_may_be_as_long_as_a_text(api: Api, count: int) -> None:
    message = api.new_message(api.new_thread()["id"], [{"type": "text", "text": "x" * count}])
    assert message["content"] == [text("x" * count)]


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        [],
        7,
        {},
        ["text"],
        [{"type": "text"}],
        [{"type": "text", "text": ""}],
        [{"type": "text", "text": {"value": ""}}],
        [{"type": "text", "text": 7}],
        [{"type": "text", "text": "x" * 256_001}],
        [{"type": "video", "video": {}}],
        [{"text": "x"}],
        [{"type": "image_url", "image_url": URL}],
        [{"type": "image_url", "image_url": {}}],
        [{"type": "image_url", "image_url": {"url": URL, "detail": "huge"}}],
        [{"type": "image_file", "image_file": {"file_id": 7}}],
        [{"type": "image_file", "image_url": {"url": URL}}],
        [{"type": "text", "text": "x"}, {"type": "text", "text": ""}],
    ],
)
def test_other_content_is_refused_and_nothing_is_written(api: Api, content: object) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}/messages"
    answer = api.call("POST", path, {"role": "user", "content": content})
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert str(answer.error["param"]).startswith("content")
    assert api.page(path)["data"] == []


@pytest.mark.parametrize(
    "attachments",
    [
        {},
        "file-1",
        ["file-1"],
        [{"file_id": 7}],
        [{"file_id": "file-1", "tools": [{"type": "hammer"}]}],
        [{"file_id": "file-1", "tools": ["file_search"]}],
        [{"file_id": "file-1", "extra": 1}],
    ],
)
def test_other_attachments_are_refused(api: Api, attachments: object) -> None:
    path = f"/v1/threads/{api.new_thread()['id']}/messages"
    answer = api.call("POST", path, {"role": "user", "content": "x", "attachments": attachments})
    assert answer.status == 400
    assert str(answer.error["param"]).startswith("attachments")
