from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.pagination import AsyncCursorPage, SyncCursorPage
from openai.types.beta import Thread

from tests.compat.conftest import Connect, done, every
from tests.server_process import ServerProcess


def list_of_threads(client: Any, **query: Any) -> Any:
    """The extension as a stock client reaches it."""
    page: Any = SyncCursorPage if isinstance(client, openai.OpenAI) else AsyncCursorPage
    options = {"params": query}
    return client.get_api_list("/threads", model=Thread, page=page[Thread], options=options)


async def test_a_thread_is_created_with_nothing_said(threads: Any) -> None:
    thread = await done(threads.create())
    assert thread.object == "thread"
    assert thread.metadata == {}
    assert thread.title is None
    assert thread.assistant_id == "asst-web"
    assert await done(threads.retrieve(thread.id)) == thread


async def test_a_thread_is_created_with_its_first_turns(threads: Any, messages: Any) -> None:
    thread = await done(
        threads.create(
            messages=[
                {"role": "user", "content": "Hi!"},
                {"role": "assistant", "content": "Hello, how can I help?"},
            ],
            metadata={"channel": "support"},
        )
    )
    assert thread.metadata == {"channel": "support"}
    turns = await every(messages.list(thread.id, order="asc"))
    assert [(turn.role, turn.content[0].text.value) for turn in turns] == [
        ("user", "Hi!"),
        ("assistant", "Hello, how can I help?"),
    ]


async def test_tool_resources_are_kept(threads: Any) -> None:
    resources = {
        "code_interpreter": {"file_ids": ["file-1"]},
        "file_search": {"vector_store_ids": ["vs_1"]},
    }
    thread = await done(threads.create(tool_resources=resources))
    assert thread.tool_resources.to_dict() == resources
    thread = await done(threads.update(thread.id, tool_resources=None))
    assert thread.tool_resources.to_dict() == {}


async def test_title_and_assistant_travel_in_the_extra_body(threads: Any) -> None:
    extra = {"title": "Support", "assistant_id": "asst-mobile"}
    thread = await done(threads.create(extra_body=extra))
    assert (thread.title, thread.assistant_id) == ("Support", "asst-mobile")
    thread = await done(threads.update(thread.id, extra_body={"title": "Renamed"}))
    assert (thread.title, thread.assistant_id) == ("Renamed", "asst-mobile")


async def test_an_explicit_none_is_legal_wherever_the_client_sends_one(threads: Any) -> None:
    thread = await done(threads.create(metadata=None, tool_resources=None))
    assert thread.metadata == {}
    thread = await done(threads.update(thread.id, metadata={"k": "v"}))
    assert (await done(threads.update(thread.id, metadata=None))).metadata == {}


async def test_metadata_merges_on_update(threads: Any) -> None:
    thread = await done(threads.create(metadata={"a": "1", "b": "2"}))
    updated = await done(threads.update(thread.id, metadata={"b": "3", "c": ""}))
    assert updated.metadata == {"a": "1", "b": "3", "c": ""}
    assert await done(threads.update(thread.id)) == updated
    assert await done(threads.retrieve(thread.id)) == updated


async def test_patch_modifies_as_well(client: Any) -> None:
    thread = await done(client.beta.threads.create())
    body = {"title": "x", "metadata": {"k": "v"}}
    patched = await done(client.patch(f"/threads/{thread.id}", body=body, cast_to=Thread))
    assert (patched.title, patched.metadata) == ("x", {"k": "v"})
    assert await done(client.beta.threads.retrieve(thread.id)) == patched


async def test_a_deleted_thread_is_gone_with_its_messages(threads: Any, messages: Any) -> None:
    thread = await done(threads.create(messages=[{"role": "user", "content": "x"}]))
    message = (await every(messages.list(thread.id)))[0]
    deleted = await done(threads.delete(thread.id))
    assert (deleted.id, deleted.object, deleted.deleted) == (thread.id, "thread.deleted", True)
    asks: list[tuple[Any, tuple[str, ...], dict[str, str]]] = [
        (threads.retrieve, (thread.id,), {}),
        (threads.delete, (thread.id,), {}),
        (messages.retrieve, (message.id,), {"thread_id": thread.id}),
        (messages.create, (thread.id,), {"role": "user", "content": "x"}),
    ]
    for ask, words, named in asks:
        with pytest.raises(openai.NotFoundError, match="No thread found with id"):
            await done(ask(*words, **named))


async def test_the_list_of_threads_pages_through_a_stock_client(
    connect: Connect, server: ServerProcess, quiet_key: str
) -> None:
    client = connect(server, key=quiet_key, _strict_response_validation=True)
    made = [
        await done(client.beta.threads.create(extra_body={"title": str(number)}))
        for number in range(7)
    ]
    assert await every(list_of_threads(client, limit=3)) == made[::-1]
    assert await every(list_of_threads(client, limit=2, order="asc")) == made
    page = await done(list_of_threads(client, after=made[4].id, limit=3))
    assert page.data == made[3:0:-1]
    assert page.has_next_page()


async def test_threads_can_be_deleted_while_they_are_listed(
    connect: Connect, server: ServerProcess, quiet_key: str
) -> None:
    client = connect(server, key=quiet_key)
    made = {(await done(client.beta.threads.create())).id for _ in range(7)}
    seen = set()
    page = await done(list_of_threads(client, limit=2))
    while page is not None:
        for thread in page.data:
            await done(client.beta.threads.delete(thread.id))
            seen.add(thread.id)
        page = await done(page.get_next_page()) if page.has_next_page() else None
    assert seen == made
    assert await every(list_of_threads(client)) == []


async def test_another_organisation_sees_none_of_it(threads: Any, stranger: Any) -> None:
    thread = await done(threads.create())
    with pytest.raises(openai.NotFoundError):
        await done(stranger.beta.threads.retrieve(thread.id))
    assert thread.id not in {one.id for one in await every(list_of_threads(stranger))}
