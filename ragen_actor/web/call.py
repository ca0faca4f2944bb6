"""One request on its way through the server, once it is known whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from ragen_actor.actors import Registry
from ragen_actor.actors.mailbox import Reply
from ragen_actor.keyring import Key, Keyring


@dataclass(frozen=True, slots=True)
class Api:
    """What the handlers reach.

    Attributes:
        registry: The actors.
        keyring: The keys, for the projects that they name.
        messages_max: Initial messages of one new thread.
    """

    registry: Registry
    keyring: Keyring
    messages_max: int


class Call(Struct, frozen=True, gc=False):
    """A request whose key is known and whose body has arrived.

    Attributes:
        key: Whose it is.
        thread_id: From the path, any text; empty where the route has none.
        message_id: Likewise.
        query: What follows the question mark, still percent-encoded.
        body: Bytes, not looked at yet; empty for methods that have none.
        reply: Where the answer's body goes.
    """

    key: Key
    thread_id: str
    message_id: str
    query: str
    body: bytes
    reply: Reply


Handler = Callable[[Api, Call], None]
"""Asks an actor, after checking all that can be checked without it; raises `RagenError`."""
