"""What an official client was told is there, is there after the process was killed."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.server_process import ServerProcess

WRITERS = 8
ACKNOWLEDGED_BEFORE_KILL = 100


def client_of(server: ServerProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=server.key, base_url=server.base_url, max_retries=0, timeout=20
    )


async def whole(client: openai.AsyncOpenAI, thread: str) -> list[dict[str, Any]]:
    listed = client.beta.threads.messages.list(thread, order="asc", limit=100)
    return [message.to_dict() async for message in listed]


async def test_acknowledged_messages_survive_kill_nine_in_their_order(
    own_server: ServerProcess,
) -> None:
    acknowledged: dict[str, list[dict[str, Any]]] = {}
    enough = asyncio.Event()

    async def write(client: openai.AsyncOpenAI) -> None:
        """Append to a thread of its own until the server is gone."""
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "first"}])
        mine = acknowledged[thread.id] = []
        with pytest.raises(openai.APIConnectionError):
            while True:
                message = await client.beta.threads.messages.create(
                    thread.id, role="user", content=str(len(mine))
                )
                mine.append(message.to_dict())
                if sum(map(len, acknowledged.values())) >= ACKNOWLEDGED_BEFORE_KILL:
                    enough.set()

    async with client_of(own_server) as client:
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(write(client))
            await asyncio.wait_for(enough.wait(), 30)
            await asyncio.to_thread(own_server.kill)

        own_server.restart()
        assert len(acknowledged) == WRITERS
        for thread, told in acknowledged.items():
            first, *found = await whole(client, thread)
            assert first["content"][0]["text"]["value"] == "first"
            assert found[: len(told)] == told
            assert len(found) <= len(told) + 1, "only the message in flight may be there besides"


async def test_every_kind_of_change_survives_kill_nine(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        threads = client.beta.threads
        turns: Any = [{"role": "user", "content": str(place)} for place in range(30)]
        thread = await threads.create(messages=turns, metadata={"a": "1"})
        deleted_thread = await threads.create(messages=turns)
        await threads.update(thread.id, metadata={"b": "2"}, extra_body={"title": "kept"})
        before = await whole(client, thread.id)
        await threads.messages.update(before[3]["id"], thread_id=thread.id, metadata={"k": "v"})
        await threads.messages.delete(before[5]["id"], thread_id=thread.id)
        await threads.delete(deleted_thread.id)
        told = (await threads.retrieve(thread.id)).to_dict()
        before = await whole(client, thread.id)

        own_server.kill()
        own_server.restart()

        assert (await threads.retrieve(thread.id)).to_dict() == told
        assert await whole(client, thread.id) == before
        with pytest.raises(openai.NotFoundError):
            await threads.retrieve(deleted_thread.id)
        after = await threads.messages.create(thread.id, role="user", content="after")
        assert (await whole(client, thread.id))[-1]["id"] == after.id
        newest = await threads.create()
        listed = await client.get("/threads", cast_to=object)
        assert [one["id"] for one in listed["data"]] == [newest.id, thread.id]  # type: ignore[index]


async def test_a_server_told_to_stop_in_the_midst_answers_truly_and_ends_well(
    own_server: ServerProcess,
) -> None:
    acknowledged: list[str] = []
    enough = asyncio.Event()

    async def write(client: openai.AsyncOpenAI, thread: str) -> None:
        with pytest.raises((openai.APIConnectionError, openai.InternalServerError)) as ended:
            while True:
                message = await client.beta.threads.messages.create(
                    thread, role="user", content="x"
                )
                acknowledged.append(message.id)
                if len(acknowledged) >= ACKNOWLEDGED_BEFORE_KILL:
                    enough.set()
        if isinstance(ended.value, openai.InternalServerError):
            assert ended.value.status_code == 503

    async with client_of(own_server) as client:
        thread = (await client.beta.threads.create()).id
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(write(client, thread))
            await asyncio.wait_for(enough.wait(), 30)
            assert await asyncio.to_thread(own_server.terminate) == 0

        own_server.restart()
        found = [message["id"] for message in await whole(client, thread)]
        assert set(acknowledged) <= set(found)
        assert len(set(found)) == len(found) <= len(acknowledged) + WRITERS


async def test_a_server_told_to_stop_ends_well_and_forgets_nothing(
    own_server: ServerProcess,
) -> None:
    async with client_of(own_server) as client:
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "x"}])
        before = await whole(client, thread.id)
        assert await asyncio.to_thread(own_server.terminate) == 0
        own_server.restart()
        assert await whole(client, thread.id) == before


async def test_being_killed_again_and_again_loses_nothing(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        thread = await client.beta.threads.create()
        made = []
        for round_number in range(3):
            for place in range(10):
                text = f"{round_number}.{place}"
                message = await client.beta.threads.messages.create(
                    thread.id, role="user", content=text
                )
                made.append(message.to_dict())
            own_server.kill()
            own_server.restart()
            assert await whole(client, thread.id) == made
