"""What an actor can be asked. Each answer is the bytes of the response's body."""

from __future__ import annotations

from msgspec import Struct

from ragen_actor import schema
from ragen_actor.actors.sealed import (
    AppendSealed,
    CreateSealedThread,
    GetSealedMessage,
    GetSealedThread,
    ListSealedMessages,
    ListSealedThreads,
    ReplaceKey,
)


class CreateThread(Struct, frozen=True, gc=False):
    """Create a thread, its initial messages with it or not at all.

    Attributes:
        request: What was asked for.
        assistant_id: What the thread is bound to.
    """

    request: schema.CreateThread
    assistant_id: str


class GetThread(Struct, frozen=True, gc=False):
    """Read one thread."""

    thread_id: str


class ListThreads(Struct, frozen=True, gc=False):
    """Read a page of the organisation's threads."""

    query: schema.ListQuery


class ModifyThread(Struct, frozen=True, gc=False):
    """Change a thread's title, metadata or tool resources."""

    change: schema.ModifyThread


class DeleteThread(Struct, frozen=True, gc=False):
    """Delete a thread and all its messages."""


class AppendMessage(Struct, frozen=True, gc=False):
    """Add one turn."""

    message: schema.NewMessage


class GetMessage(Struct, frozen=True, gc=False):
    """Read one message."""

    message_id: str


class ListMessages(Struct, frozen=True, gc=False):
    """Read a page of the thread's messages."""

    query: schema.ListQuery


class ModifyMessage(Struct, frozen=True, gc=False):
    """Change a message's metadata."""

    message_id: str
    change: schema.ModifyMessage


class DeleteMessage(Struct, frozen=True, gc=False):
    """Delete one message."""

    message_id: str


class Compact(Struct, frozen=True, gc=False):
    """Rewrite the actor's own log without what is dead in it.

    The answer is the number of bytes saved, 0 when nothing was due; `null` when it failed.

    Attributes:
        now: Whether it is due as soon as anything is dead; else when enough is.
    """

    now: bool


CatalogCommand = (
    CreateThread
    | GetThread
    | ListThreads
    | CreateSealedThread
    | GetSealedThread
    | ListSealedThreads
    | Compact
)
ThreadCommand = (
    AppendMessage
    | GetMessage
    | ListMessages
    | ModifyMessage
    | DeleteMessage
    | ModifyThread
    | DeleteThread
    | AppendSealed
    | GetSealedMessage
    | ListSealedMessages
    | ReplaceKey
    | Compact
)
Command = CatalogCommand | ThreadCommand
