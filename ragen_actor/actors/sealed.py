"""What an actor can be asked about what is sealed, and how it answers: for the dashboard alone.

The public API neither asks any of this nor could read it. An actor sees sealed bytes only: it is
given them to store, and hands them out beside the objects as they are served. Such pairs travel as
msgpack, since sealed bytes are no text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from ragen_actor import schema
from storage import halves


class SealedTurn(Struct, frozen=True):
    """A turn whose content nobody on this side of the seal gets to see.

    Attributes:
        role: Who speaks.
        metadata: Plain: it is stored and served as any other.
        seal: Called once, with the ids of the thread and of the message that it becomes; returns
            the sealed content. It neither blocks nor fails.
    """

    role: schema.Role
    metadata: dict[str, str]
    seal: Callable[[str, str], bytes]


class CreateSealedThread(Struct, frozen=True):
    """Create an encrypted thread, its initial messages with it or not at all.

    Attributes:
        request: What was asked for, but for its messages.
        assistant_id: What the thread is bound to.
        turns: Its initial messages.
        key: Stored with the thread and never served with it: its wrapped data key.
    """

    request: schema.CreateThread
    assistant_id: str
    turns: tuple[SealedTurn, ...]
    key: bytes


class GetSealedThread(Struct, frozen=True, gc=False):
    """Read one thread and its wrapped data key; the answer is a `SealedPage` of one."""

    thread_id: str


class ListSealedThreads(Struct, frozen=True, gc=False):
    """Read a page of the organisation's threads with their keys, as a `SealedPage`."""

    query: schema.ListQuery


class AppendSealed(Struct, frozen=True):
    """Add one turn to an encrypted thread; the answer is the message as it is served."""

    turn: SealedTurn


class GetSealedMessage(Struct, frozen=True, gc=False):
    """Read one message with what is sealed of it; the answer is a `SealedPage` of one."""

    message_id: str


class ListSealedMessages(Struct, frozen=True, gc=False):
    """Read a page of the thread's messages with what is sealed of them, as a `SealedPage`."""

    query: schema.ListQuery


class ReplaceKey(Struct, frozen=True, gc=False):
    """Store a thread's data key under another wrapping, unless it has changed meanwhile.

    The answer is `true`, or `false` when the key is not the expected one any more.
    """

    expected: bytes
    key: bytes


class SealedPage(Struct, frozen=True):
    """A page, or a single object.

    Attributes:
        objects: As they are served, in the order asked for.
        sealed: What is sealed of each of them; empty where nothing is.
        has_more: Whether more lie in the direction of travel.
    """

    objects: tuple[bytes, ...]
    sealed: tuple[bytes, ...]
    has_more: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SealedPage)


def render_page(lines: Iterable[bytes], has_more: bool) -> bytes:
    """Return the page that sound lines of a log make.

    Raises:
        RecordError: What is sealed in one of them is unreadable.
    """
    pairs = [halves(line) for line in lines]
    objects, sealed = tuple([each for each, _ in pairs]), tuple([each for _, each in pairs])
    return _encoder.encode(SealedPage(objects, sealed, has_more))


def read_page(answer: bytes) -> SealedPage:
    """Return what `render_page` wrote."""
    return _decoder.decode(answer)
