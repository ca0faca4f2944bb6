"""A registry on real files, asked as the handlers ask it, at a time that the test sets."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ragen_actor import actors, schema
from ragen_actor.actors import Limits, Registry
from ragen_actor.errors import RagenError
from storage import Options, Storage
from storage.durable import Disk

NOW = 1_750_000_000.0
SECONDS_MAX = 20.0

Answer = asyncio.Future[bytes]


class House:
    """One storage and one registry.

    Attributes:
        time: What the registry takes for the time of day, Unix seconds.
    """

    def __init__(self, storage: Storage, limits: Limits) -> None:
        self.storage = storage
        self.time = NOW
        self._random = random.Random(7)
        self.registry = Registry(
            storage, limits, clock=lambda: self.time, random=self._random.getrandbits
        )

    # Each of these hands in a command at once and returns the future of its answer.

    def create(self, *texts: str, org: str = "acme", **fields: Any) -> Answer:
        body = {"messages": [{"role": "user", "content": text} for text in texts], **fields}
        request = schema.parse_create_thread(json.dumps(body).encode(), messages_max=900)
        return self.registry.ask_catalog(org, actors.CreateThread(request, "asst-web"))

    def append(self, thread_id: str, text: str = "hello", *, org: str = "acme") -> Answer:
        body = {"role": "user", "content": text}
        command = actors.AppendMessage(schema.parse_create_message(json.dumps(body).encode()))
        return self.registry.ask_thread(org, thread_id, command)

    def get(self, thread_id: str, *, org: str = "acme") -> Answer:
        return self.registry.ask_catalog(org, actors.GetThread(thread_id))

    def get_message(self, thread_id: str, message_id: str, *, org: str = "acme") -> Answer:
        return self.registry.ask_thread(org, thread_id, actors.GetMessage(message_id))

    def messages(self, thread_id: str, query: str = "", *, org: str = "acme") -> Answer:
        command = actors.ListMessages(schema.parse_list_query(query, "message"))
        return self.registry.ask_thread(org, thread_id, command)

    def list_threads(self, query: str = "", *, org: str = "acme") -> Answer:
        command = actors.ListThreads(schema.parse_list_query(query, "thread"))
        return self.registry.ask_catalog(org, command)

    def modify(self, thread_id: str, *, org: str = "acme", **fields: Any) -> Answer:
        change = schema.parse_modify_thread(json.dumps(fields).encode())
        return self.registry.ask_thread(org, thread_id, actors.ModifyThread(change))

    def modify_message(
        self, thread_id: str, message_id: str, *, org: str = "acme", **fields: Any
    ) -> Answer:
        change = schema.parse_modify_message(json.dumps(fields).encode())
        return self.registry.ask_thread(org, thread_id, actors.ModifyMessage(message_id, change))

    def delete(self, thread_id: str, *, org: str = "acme") -> Answer:
        return self.registry.ask_thread(org, thread_id, actors.DeleteThread())

    def delete_message(self, thread_id: str, message_id: str, *, org: str = "acme") -> Answer:
        return self.registry.ask_thread(org, thread_id, actors.DeleteMessage(message_id))

    # And these wait.

    async def thread(self, *texts: str, org: str = "acme", **fields: Any) -> str:
        return str((await done(self.create(*texts, org=org, **fields)))["id"])

    async def ids(self, thread_id: str, *, org: str = "acme") -> list[str]:
        page = await done(self.messages(thread_id, "order=asc&limit=100", org=org))
        return [message["id"] for message in page["data"]]

    async def texts(self, thread_id: str, *, org: str = "acme") -> list[str]:
        page = await done(self.messages(thread_id, "order=asc&limit=100", org=org))
        return texts_of(page)

    @property
    def syncs(self) -> int:
        return self.storage.disk.syncs

    async def close(self) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await self.registry.close()
            await self.storage.close()


async def done(answer: Answer) -> Any:
    """Wait for an answer, not for ever, and decode it."""
    async with asyncio.timeout(SECONDS_MAX):
        return json.loads(await answer)


async def refused(ask: Answer | Callable[[], Answer], kind: type[RagenError]) -> RagenError:
    """Insist that an ask fails so, whether at once or by its answer."""
    with pytest.raises(kind) as error:
        await done(ask if isinstance(ask, asyncio.Future) else ask())
    assert type(error.value) is kind
    return error.value


def texts_of(page: Any) -> list[str]:
    return [message["content"][0]["text"]["value"] for message in page["data"]]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, looking often; for a bounded time."""
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def opened(
    options: Options, disk: Disk | None = None, limits: Limits | None = None
) -> AsyncIterator[House]:
    """Open a house and close it at the end, after its askers have their answers."""
    house = House(await Storage.open(options, disk), limits or Limits())
    try:
        yield house
    finally:
        await house.close()
