"""One request of somebody who is signed in, and what its handler can reach."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from ragen_actor.actors import Registry
from ragen_actor.dashboard.pages import Pages
from ragen_actor.dashboard.sessions import Session, Sessions
from ragen_actor.errors import RagenError
from ragen_actor.vault import Vault


class Forbidden(RagenError):
    """The request does not come from a page of this dashboard, or from one too old."""


class SignedOut(RagenError):
    """Nobody is signed in, or no longer."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What the handlers reach once storage has recovered.

    Attributes:
        registry: The actors.
        vault: Threads and messages as they can be read.
        messages_max: Initial messages of one new thread.
    """

    registry: Registry
    vault: Vault
    messages_max: int


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    Attributes:
        request: As it came.
        session: Who asks.
        sessions: Tells whether that session still lives, where an answer takes long.
        backend: What answers.
        pages: Renders templates.
        thread_id: From the path, any text; empty where the route has none.
        message_id: Likewise.
        query: Raw, still percent-encoded.
        fields: The query's fields, of each name the last.
        body: Bytes, not looked at yet; empty for methods that have none.
    """

    request: web.BaseRequest
    session: Session
    sessions: Sessions
    backend: Backend
    pages: Pages
    thread_id: str
    message_id: str
    query: str
    fields: Mapping[str, str]
    body: bytes

    @property
    def org(self) -> str:
        """Whose threads they are."""
        return self.session.key.org

    @property
    def is_over(self) -> bool:
        """Tell whether nobody waits for the answer any more."""
        transport = self.request.transport
        return transport is None or transport.is_closing()


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]
"""Answers a visit; raises `RagenError`."""
