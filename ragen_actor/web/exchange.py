"""One request and what becomes of it on its way through the door."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from ragen_actor.keyring import Key
from ragen_actor.token_bucket import Taken
from ragen_actor.web.routes import Route

_IDS_AT_ONCE = 128
_ID_DIGITS = 32


def _request_ids() -> Iterator[str]:
    """Yield random names for requests, for ever; each is given out once."""
    while True:
        digits = os.urandom(_IDS_AT_ONCE * _ID_DIGITS // 2).hex()
        for start in range(0, len(digits), _ID_DIGITS):
            yield f"req_{digits[start : start + _ID_DIGITS]}"


_ids = _request_ids()


class Fields(Protocol):
    """The header fields of a request; they are asked for by names in lower case."""

    def get(self, name: str, default: str, /) -> str:
        """Return the first value under a name, or the default."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        """Return every value under a name, or the default."""


class Exchange:
    """A request, and what the door has found out about it.

    Attributes:
        method: As sent.
        path: Of the target, as sent, still percent-encoded.
        query: What follows the question mark, likewise.
        fields: The header's.
        peer: The address of the other end of the connection.
        version: Of HTTP, as `(1, 1)`.
        started: When it was looked at first, seconds of the door's clock.
        id: What the client is told to name the request by.
        keeps_open: Whether another request may follow on the connection.
        key: Whose it is, once that is known.
        taken: What its key has left, once a token was asked for.
        route: Where its path leads, once that is known; not set for what is passed on.
        tail: What of its path is the upstream's; None for what is answered here.
    """

    __slots__ = (
        "fields",
        "id",
        "keeps_open",
        "key",
        "method",
        "path",
        "peer",
        "query",
        "route",
        "started",
        "tail",
        "taken",
        "version",
    )

    route: Route

    def __init__(
        self,
        method: str,
        target: str,
        fields: Fields,
        *,
        peer: str | None,
        started: float,
        version: tuple[int, int] = (1, 1),
        keeps_open: bool = True,
    ) -> None:
        self.method = method
        if not target.startswith("/"):
            target = _origin_form(target)
        self.path, _, self.query = target.partition("?")
        self.fields = fields
        self.peer = peer
        self.version = version
        self.started = started
        self.id = next(_ids)
        self.keeps_open = keeps_open
        self.key: Key | None = None
        self.taken: Taken | None = None
        self.tail: str | None = None


def _origin_form(target: str) -> str:
    """Return path and query of a target that a proxy has sent with its host.

    Source: RFC 9112, 3.2.2.
    """
    _, _, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path if slash else target
