"""Conversations as their owners read them, plain and encrypted alike: for the dashboard alone.

The actors keep what is sealed and hand it out; here it is opened. What cannot be opened is shown as
the public API shows it, with the reason beside it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import msgspec
from msgspec import Struct

from ragen_actor import schema
from ragen_actor.actors import AppendMessage, Registry
from ragen_actor.actors.sealed import (
    AppendSealed,
    CreateSealedThread,
    GetSealedMessage,
    GetSealedThread,
    ListSealedMessages,
    ListSealedThreads,
    SealedPage,
    SealedTurn,
    read_page,
)
from ragen_actor.errors import RagenError
from ragen_actor.vault.data_keys import DataKeys
from ragen_actor.vault.envelope import Content, Place, seal, unseal
from ragen_actor.vault.errors import DataKeyLost

_OPENED_AT_ONCE_BYTES = 256 * 1024
"""What is opened in the event loop; more would keep others waiting."""


class ListedThread(Struct, frozen=True):
    """A thread, and whether its messages are encrypted."""

    thread: schema.Thread
    encrypted: bool


class ThreadPage(Struct, frozen=True):
    """Threads in the order asked for, and whether more lie in that direction."""

    threads: tuple[ListedThread, ...]
    has_more: bool


class Turn(Struct, frozen=True):
    """One message.

    Attributes:
        message: As it was written; with the placeholder where it could not be opened.
        encrypted: Whether it is sealed on the disk.
        fault: Why it could not be opened.
    """

    message: schema.Message
    encrypted: bool
    fault: RagenError | None = None


class MessagePage(Struct, frozen=True):
    """Messages in the order asked for.

    Attributes:
        turns: The messages.
        has_more: Whether more lie in that direction.
        encrypted: Whether the thread is.
        fault: Why none of them could be opened.
    """

    turns: tuple[Turn, ...]
    has_more: bool
    encrypted: bool
    fault: RagenError | None = None


class Vault:
    """The one door to threads for who may read what is encrypted.

    Args:
        registry: The owners of the threads.
        keys: Their data keys.
        random: Returns that many random bytes.
    """

    def __init__(
        self, registry: Registry, keys: DataKeys, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._random = random

    @property
    def wraps_with(self) -> str | None:
        """The id of the master key for new encrypted threads; None where there can be none."""
        return self._keys.wraps_with

    async def create_thread(
        self, org: str, request: schema.CreateThread, assistant_id: str
    ) -> schema.Thread:
        """Create an encrypted thread, its messages with it or not at all.

        Raises:
            EncryptionOff: There is no master key.
            MasterKeyUnavailable: It cannot be reached; nothing was written.
            MasterKeyRefused: It may not be used; nothing was written.
            RagenError: As an actor says.
        """
        key, stored = await self._keys.new(org)
        turns = tuple([self._sealed(org, key, message) for message in request.messages])
        bare = msgspec.structs.replace(request, messages=())
        command = CreateSealedThread(bare, assistant_id, turns, stored)
        return schema.decode_thread(await self._registry.ask_catalog(org, command))

    async def append(self, org: str, thread_id: str, message: schema.NewMessage) -> schema.Message:
        """Add one turn to a thread, sealed if the thread is encrypted.

        Raises:
            ThreadNotFound: There is no such thread.
            MasterKeyUnavailable: Its master key cannot be reached; nothing was written.
            MasterKeyRefused: It may not be used; nothing was written.
            MasterKeyMissing: This server has none of that id; nothing was written.
            DataKeyLost: The thread's key is lost; nothing was written.
            RagenError: As an actor says.
        """
        stored = await self._stored_key(org, thread_id)
        if not stored:
            try:
                answer = await self._registry.ask_thread(org, thread_id, AppendMessage(message))
            except RagenError as error:
                raise DataKeyLost if error.code == _REFUSAL else error from None
            return schema.decode_message(answer)
        key = await self._keys.open(org, stored)
        command = AppendSealed(self._sealed(org, key, message))
        shown = schema.decode_message(await self._registry.ask_thread(org, thread_id, command))
        return msgspec.structs.replace(
            shown, content=message.content, attachments=message.attachments
        )

    async def get_message(self, org: str, thread_id: str, message_id: str) -> Turn:
        """Return one message.

        Raises:
            ThreadNotFound: There is no such thread.
            MessageNotFound: There is no such message in it.
            RagenError: As an actor says.
        """
        page = await self._messages(org, thread_id, GetSealedMessage(message_id))
        turn = page.turns[0]
        return msgspec.structs.replace(turn, fault=turn.fault or page.fault)

    async def list_messages(self, org: str, thread_id: str, query: schema.ListQuery) -> MessagePage:
        """Return a page of a thread's messages.

        Raises:
            ThreadNotFound: There is no such thread.
            InvalidRequest: A cursor was never in this thread.
            RagenError: As an actor says.
        """
        return await self._messages(org, thread_id, ListSealedMessages(query))

    async def get_thread(self, org: str, thread_id: str) -> ListedThread:
        """Return one thread.

        Raises:
            ThreadNotFound: There is no such thread.
        """
        answer = await self._registry.ask_catalog(org, GetSealedThread(thread_id))
        return _listed(read_page(answer))[0]

    async def list_threads(self, org: str, query: schema.ListQuery) -> ThreadPage:
        """Return a page of an organisation's threads.

        Raises:
            InvalidRequest: A cursor was never in this list.
        """
        page = read_page(await self._registry.ask_catalog(org, ListSealedThreads(query)))
        return ThreadPage(_listed(page), page.has_more)

    async def _stored_key(self, org: str, thread_id: str) -> bytes:
        answer = await self._registry.ask_catalog(org, GetSealedThread(thread_id))
        return read_page(answer).sealed[0]

    def _sealed(self, org: str, key: bytes, message: schema.NewMessage) -> SealedTurn:
        content = Content(message.content, message.attachments)
        role, random = message.role, self._random
        return SealedTurn(
            role,
            message.metadata,
            lambda thread_id, message_id: seal(
                key, content, Place(org, thread_id, message_id, role), random
            ),
        )

    async def _messages(
        self, org: str, thread_id: str, command: GetSealedMessage | ListSealedMessages
    ) -> MessagePage:
        stored = await self._stored_key(org, thread_id)
        page = read_page(await self._registry.ask_thread(org, thread_id, command))
        encrypted = bool(stored) or any(page.sealed)
        if not any(page.sealed):
            return MessagePage(_closed(page), page.has_more, encrypted)
        try:
            if not stored:
                raise DataKeyLost
            key = await self._keys.open(org, stored)
        except RagenError as fault:
            return MessagePage(_closed(page), page.has_more, encrypted, fault)
        if sum([len(each) for each in page.sealed]) <= _OPENED_AT_ONCE_BYTES:
            turns = _opened(org, key, page)
        else:
            turns = await asyncio.to_thread(_opened, org, key, page)
        return MessagePage(turns, page.has_more, encrypted)


_REFUSAL = schema.encrypted_thread("").code


def _listed(page: SealedPage) -> tuple[ListedThread, ...]:
    pairs = zip(page.objects, page.sealed, strict=True)
    return tuple([ListedThread(schema.decode_thread(data), bool(key)) for data, key in pairs])


def _closed(page: SealedPage) -> tuple[Turn, ...]:
    pairs = zip(page.objects, page.sealed, strict=True)
    return tuple([Turn(schema.decode_message(data), bool(sealed)) for data, sealed in pairs])


def _opened(org: str, key: bytes, page: SealedPage) -> tuple[Turn, ...]:
    pairs = zip(_closed(page), page.sealed, strict=True)
    return tuple([_open(org, key, turn, sealed) if sealed else turn for turn, sealed in pairs])


def _open(org: str, key: bytes, turn: Turn, sealed: bytes) -> Turn:
    message = turn.message
    try:
        found = unseal(key, sealed, Place(org, message.thread_id, message.id, message.role))
    except RagenError as fault:
        return Turn(message, True, fault)
    opened = msgspec.structs.replace(message, content=found.content, attachments=found.attachments)
    return Turn(opened, True)
