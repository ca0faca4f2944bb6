from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.compat.conftest import done, every

PICTURE = "https://example.com/cat.png"


@pytest.fixture
async def thread_id(threads: Any) -> str:
    return str((await done(threads.create())).id)


def values(found: list[Any]) -> list[str]:
    return [message.content[0].text.value for message in found]


@pytest.mark.parametrize("role", ["user", "assistant"])
async def test_a_turn_of_either_role_is_stored(messages: Any, thread_id: str, role: str) -> None:
    message = await done(messages.create(thread_id, role=role, content="What was my question?"))
    assert message.object == "thread.message"
    assert message.role == role
    assert message.thread_id == thread_id
    assert message.content[0].type == "text"
    assert message.content[0].text.value == "What was my question?"
    assert message.content[0].text.annotations == []
    assert message.status == "completed"
    assert message.completed_at == message.created_at
    assert message.attachments == []
    assert await done(messages.retrieve(message.id, thread_id=thread_id)) == message


async def test_every_kind_of_content_is_kept_in_its_order(messages: Any, thread_id: str) -> None:
    message = await done(
        messages.create(
            thread_id,
            role="user",
            content=[
                {"type": "text", "text": "Look:"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "high"}},
            ],
        )
    )
    text, first, second, file = message.content
    assert text.text.value == "Look:"
    assert (first.image_url.url, first.image_url.detail) == (PICTURE, "auto")
    assert second.image_url.detail == "low"
    assert (file.image_file.file_id, file.image_file.detail) == ("file-1", "high")
    assert (await every(messages.list(thread_id)))[0] == message


async def test_what_was_read_can_be_written_again(messages: Any, thread_id: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    first = await done(messages.create(thread_id, role="user", content=parts))
    echoed = [part.to_dict() for part in first.content]
    again = await done(messages.create(thread_id, role="user", content=echoed))
    assert again.content == first.content


async def test_attachments_are_kept(messages: Any, thread_id: str) -> None:
    attachments = [
        {"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]},
        {"file_id": "file-2"},
    ]
    message = await done(
        messages.create(thread_id, role="user", content="x", attachments=attachments)
    )
    assert [one.to_dict() for one in message.attachments] == attachments
    none = messages.create(thread_id, role="user", content="x", attachments=None, metadata=None)
    assert (await done(none)).attachments == []


async def test_any_text_comes_back_as_it_was(messages: Any, thread_id: str) -> None:
    texts = [
        "\x00\x1f",
        "a\r\nb\u2028c",
        "e\u0301 é ﷺ",
        "👩‍👩‍👧",
        "\U0010ffff\ufffe\ufeff",
        '"\\/</script>',
        " ",
    ]
    for text in texts:
        await done(messages.create(thread_id, role="user", content=text))
    assert values(await every(messages.list(thread_id, order="asc"))) == texts


async def test_metadata_of_a_message_merges_on_update(messages: Any, thread_id: str) -> None:
    metadata = {"a": "1", "b": "2"}
    message = await done(messages.create(thread_id, role="user", content="x", metadata=metadata))
    updated = await done(messages.update(message.id, thread_id=thread_id, metadata={"b": "3"}))
    assert updated == message.model_copy(update={"metadata": {"a": "1", "b": "3"}})
    assert await done(messages.retrieve(message.id, thread_id=thread_id)) == updated
    cleared = await done(messages.update(message.id, thread_id=thread_id, metadata=None))
    assert cleared.metadata == {}


async def test_a_deleted_message_is_gone(messages: Any, thread_id: str) -> None:
    kept = await done(messages.create(thread_id, role="user", content="kept"))
    gone = await done(messages.create(thread_id, role="user", content="gone"))
    deleted = await done(messages.delete(gone.id, thread_id=thread_id))
    assert (deleted.id, deleted.object) == (gone.id, "thread.message.deleted")
    assert deleted.deleted is True
    for ask in (messages.retrieve, messages.delete, messages.update):
        with pytest.raises(openai.NotFoundError, match="No message found with id"):
            await done(ask(gone.id, thread_id=thread_id))
    assert await every(messages.list(thread_id)) == [kept]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 4, 5, 100])
async def test_a_for_loop_sees_every_message_once_in_order(
    threads: Any, messages: Any, order: str, limit: int
) -> None:
    texts = [str(place) for place in range(10)]
    turns = [{"role": "user", "content": text} for text in texts]
    thread = await done(threads.create(messages=turns))
    found = values(await every(messages.list(thread.id, order=order, limit=limit)))
    assert found == (texts if order == "asc" else texts[::-1])


async def test_the_default_page_is_the_newest_twenty(threads: Any, messages: Any) -> None:
    turns = [{"role": "user", "content": str(place)} for place in range(45)]
    thread = await done(threads.create(messages=turns))
    page = await done(messages.list(thread.id))
    assert values(page.data) == [str(place) for place in range(44, 24, -1)]
    assert page.has_next_page()
    assert values(await every(messages.list(thread.id))) == [
        str(place) for place in range(44, -1, -1)
    ]


async def test_after_and_before_are_exclusive_and_follow_the_order(
    threads: Any, messages: Any
) -> None:
    turns = [{"role": "user", "content": str(place)} for place in range(10)]
    thread = (await done(threads.create(messages=turns))).id
    ids = [message.id for message in await every(messages.list(thread, order="asc"))]
    page = await done(messages.list(thread, order="asc", after=ids[3], limit=2))
    assert (values(page.data), page.has_more) == (["4", "5"], True)
    page = await done(messages.list(thread, order="desc", after=ids[3], limit=3))
    assert (values(page.data), page.has_more) == (["2", "1", "0"], False)
    page = await done(messages.list(thread, order="asc", before=ids[3], limit=2))
    assert (values(page.data), page.has_more) == (["1", "2"], True)
    page = await done(messages.list(thread, order="desc", before=ids[3], limit=100))
    assert (values(page.data), page.has_more) == (["9", "8", "7", "6", "5", "4"], False)
    assert await every(messages.list(thread, run_id="run_x")) == []


async def test_fifty_messages_of_one_second_keep_the_order_they_came_in(
    messages: Any, thread_id: str
) -> None:
    made = [
        await done(messages.create(thread_id, role="user", content=str(place)))
        for place in range(50)
    ]
    assert await every(messages.list(thread_id, order="asc", limit=7)) == made
    assert await every(messages.list(thread_id, order="desc", limit=7)) == made[::-1]


async def test_messages_written_at_once_have_one_order_for_everybody(
    messages: Any, thread_id: str
) -> None:
    made = await asyncio.gather(
        *[done(messages.create(thread_id, role="user", content=str(n))) for n in range(50)]
    )
    up = await every(messages.list(thread_id, order="asc", limit=9))
    down = await every(messages.list(thread_id, order="desc", limit=9))
    assert up == down[::-1]
    assert {message.id for message in up} == {message.id for message in made}
    assert len(up) == 50


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_messages_can_be_deleted_while_they_are_listed(
    threads: Any, messages: Any, order: str
) -> None:
    turns = [{"role": "user", "content": str(place)} for place in range(11)]
    thread = (await done(threads.create(messages=turns))).id
    seen = []
    page = await done(messages.list(thread, order=order, limit=3))
    while page is not None:
        for message in page.data:
            await done(messages.delete(message.id, thread_id=thread))
            seen.append(message)
        page = await done(page.get_next_page()) if page.has_next_page() else None
    expected = [str(place) for place in range(11)]
    assert values(seen) == (expected if order == "asc" else expected[::-1])
    assert await every(messages.list(thread)) == []
