"""Temporary stand-in for the vault: plain threads only."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ragen_actor import actors, schema
from ragen_actor.actors import Registry
from ragen_actor.errors import RagenError


class ListedThread(Struct, frozen=True):
    thread: schema.Thread
    encrypted: bool = False


class ThreadPage(Struct, frozen=True):
    threads: tuple[ListedThread, ...]
    has_more: bool


class Turn(Struct, frozen=True):
    message: schema.Message
    encrypted: bool = False
    fault: RagenError | None = None


class MessagePage(Struct, frozen=True):
    turns: tuple[Turn, ...]
    has_more: bool
    encrypted: bool = False
    fault: RagenError | None = None


class _Threads(Struct):
    data: list[schema.Thread]
    has_more: bool


class _Messages(Struct):
    data: list[schema.Message]
    has_more: bool


class Vault:
    wraps_with: str | None = None

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def create_thread(
        self, org: str, request: schema.CreateThread, assistant_id: str
    ) -> schema.Thread:
        raise NotImplementedError

    async def append(self, org: str, thread_id: str, message: schema.NewMessage) -> schema.Message:
        body = await self._registry.ask_thread(org, thread_id, actors.AppendMessage(message))
        return schema.decode_message(body)

    async def get_message(self, org: str, thread_id: str, message_id: str) -> Turn:
        body = await self._registry.ask_thread(org, thread_id, actors.GetMessage(message_id))
        return Turn(schema.decode_message(body))

    async def list_messages(self, org: str, thread_id: str, query: schema.ListQuery) -> MessagePage:
        body = await self._registry.ask_thread(org, thread_id, actors.ListMessages(query))
        page = msgspec.json.decode(body, type=_Messages)
        return MessagePage(tuple(Turn(each) for each in page.data), page.has_more)

    async def get_thread(self, org: str, thread_id: str) -> ListedThread:
        body = await self._registry.ask_catalog(org, actors.GetThread(thread_id))
        return ListedThread(schema.decode_thread(body))

    async def list_threads(self, org: str, query: schema.ListQuery) -> ThreadPage:
        body = await self._registry.ask_catalog(org, actors.ListThreads(query))
        page = msgspec.json.decode(body, type=_Threads)
        return ThreadPage(tuple(ListedThread(each) for each in page.data), page.has_more)
