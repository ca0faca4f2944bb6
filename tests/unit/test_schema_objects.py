from __future__ import annotations

import json

import msgspec
import pytest

from ragen_actor.schema import (
    Message,
    Thread,
    decode_message,
    decode_thread,
    deleted_message,
    deleted_thread,
    encode,
    make_message_id,
    make_thread_id,
    objects,
    render_page,
)

THREAD_ID = make_thread_id(1, 2, 3)
MESSAGE_ID = make_message_id(1, 2, 3)


def message(message_id: str = MESSAGE_ID) -> Message:
    return Message(
        id=message_id,
        created_at=1700000000,
        thread_id=THREAD_ID,
        role="user",
        content=(
            objects.TextPart(objects.Text("hé\u2028\x00")),
            objects.ImageUrlPart(objects.ImageUrl("https://x/y.png")),
            objects.ImageFilePart(objects.ImageFile("file-1", "low")),
        ),
        attachments=(
            objects.Attachment("file-2"),
            objects.Attachment("file-3", (objects.AttachmentTool("file_search"),)),
        ),
        metadata={"k": ""},
        completed_at=1700000000,
    )


def test_a_thread_has_its_keys_in_order_and_its_defaults() -> None:
    data = encode(Thread(id=THREAD_ID, created_at=17, assistant_id="asst-p"))
    assert data.decode() == (
        f'{{"id":"{THREAD_ID}","object":"thread","created_at":17,"metadata":{{}},'
        '"tool_resources":{},"title":null,"assistant_id":"asst-p"}'
    )


def test_a_message_always_has_its_fourteen_keys_in_order() -> None:
    sent = json.loads(encode(message()))
    assert list(sent) == [
        *("id", "object", "created_at", "assistant_id", "thread_id", "run_id", "role"),
        *("content", "attachments", "metadata", "status", "completed_at", "incomplete_at"),
        "incomplete_details",
    ]
    assert sent["object"] == "thread.message" and sent["status"] == "completed"
    assert sent["assistant_id"] is sent["run_id"] is sent["incomplete_details"] is None


def test_content_and_attachments_have_the_shapes_that_clients_expect() -> None:
    sent = json.loads(encode(message()))
    assert sent["content"] == [
        {"type": "text", "text": {"value": "hé\u2028\x00", "annotations": []}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "auto"}},
        {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}},
    ]
    assert sent["attachments"] == [
        {"file_id": "file-2"},
        {"file_id": "file-3", "tools": [{"type": "file_search"}]},
    ]


def test_objects_begin_with_their_id_and_come_back_from_their_own_bytes() -> None:
    resources = objects.ToolResources(
        file_search=objects.FileSearchResources(vector_store_ids=("vs_1",))
    )
    thread = Thread(id=THREAD_ID, created_at=1, title="t", tool_resources=resources)
    assert encode(thread).startswith(b'{"id":"thread-')
    assert decode_thread(encode(thread)) == thread
    assert encode(message()).startswith(b'{"id":"msg-')
    assert decode_message(memoryview(encode(message()))) == message()


def test_a_stored_object_of_a_newer_version_is_read() -> None:
    newer = encode(message())[:-1] + b',"new":{"a":[1]}}'
    assert decode_message(newer) == message()


def test_a_stored_object_of_an_older_version_gets_the_defaults() -> None:
    assert decode_thread(b'{"id":"thread-1","created_at":5}') == Thread(id="thread-1", created_at=5)


def test_bytes_that_are_no_object_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_thread(b'{"id":"thread-1"}')


def test_deletes_answer_as_openai_does() -> None:
    assert json.loads(deleted_thread(THREAD_ID)) == {
        "id": THREAD_ID,
        "object": "thread.deleted",
        "deleted": True,
    }
    assert json.loads(deleted_message("msg_1")) == {
        "id": "msg_1",
        "object": "thread.message.deleted",
        "deleted": True,
    }


@pytest.mark.parametrize("more", [False, True])
def test_an_empty_page_has_null_ids(more: bool) -> None:
    assert json.loads(render_page([], more)) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": more,
    }


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("more", [False, True])
def test_a_page_names_its_ends_and_splices_the_bytes_untouched(count: int, more: bool) -> None:
    stored = [encode(message(make_message_id(1, n, 3))) for n in range(count)]
    page = render_page(stored, more)
    assert b",".join(stored) in page
    assert json.loads(page) == {
        "object": "list",
        "data": [json.loads(item) for item in stored],
        "first_id": make_message_id(1, 0, 3),
        "last_id": make_message_id(1, count - 1, 3),
        "has_more": more,
    }


def test_a_page_of_another_servers_ids_names_them_whole() -> None:
    stored = encode(Thread(id="thread_" + "a" * 64, created_at=1))
    assert json.loads(render_page([stored], False))["last_id"] == "thread_" + "a" * 64
