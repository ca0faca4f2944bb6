"""The upstream's answer as the client gets it: its head, and an end even if it is cut short."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from time import time

from aiohttp import ClientResponse, web
from msgspec import Struct

from ragen_actor.errors import RagenError
from ragen_actor.schema.answers import error_body
from ragen_actor.upstream.fields import from_upstream

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_REQUEST_ID = b"x-request-id"
_REQUEST_ID_LENGTH_MAX = 200
_RATE_LIMIT = b"x-ratelimit-"
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LAST_EVENT = b"data: [DONE]\n\n"


class Ours(Struct, frozen=True, gc=False):
    """What this server says in a head of the upstream's.

    Attributes:
        request_id: For an answer that has none of its own.
        always: Fields that stand in every head.
        defaults: Fields for an answer that has none of that name.
        rate_limit: Fields for an answer that says nothing of rate limits.
    """

    request_id: str
    always: Mapping[str, str]
    defaults: Mapping[str, str]
    rate_limit: Mapping[str, str]


class Reply:
    """One answer of the upstream's, on its way to the client.

    Attributes:
        status: HTTP's.
        request_id: The upstream's own, which its operator knows; ours where it has none.
        head: Bytes, from the status line to the empty line.
        is_chunked: Whether the body is to be sent in chunks.
        is_empty: Whether no body follows, whatever the head says about one.
        keeps_alive: Whether the connection may take another request.
        is_events: Whether the body is a stream of server-sent events.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        response: ClientResponse,
        ours: Ours,
        api_key: str,
        seconds: float,
    ) -> None:
        """Write the head.

        Args:
            request: What is answered.
            response: The upstream's answer, of which the head has come.
            ours: What this server adds.
            api_key: Of the upstream, to be left out.
            seconds: What the answer's head took to come.
        """
        fields = from_upstream(response.raw_headers, api_key)
        known = {name.lower() for name, _ in fields}
        self.status = response.status
        self.request_id = _request_id(response) or ours.request_id
        self.is_empty = request.method == "HEAD" or self.status in (204, 304)
        measured = b"content-length" in known
        modern = request.version >= (1, 1)
        self.is_chunked = modern and not measured and not self.is_empty
        self.keeps_alive = request.keep_alive and (modern or measured or self.is_empty)
        self.is_events = response.content_type == "text/event-stream"
        # An event of ours fits behind theirs only where nothing has to be counted or packed.
        self._is_open = self.is_events and self.is_chunked and b"content-encoding" not in known
        self._tail = b"\n\n"
        own = {"x-request-id": self.request_id, **ours.always}
        defaults = {
            "Date": formatdate(time(), usegmt=True),
            "openai-processing-ms": f"{seconds * 1000:.0f}",
            **ours.defaults,
        }
        own |= {name: text for name, text in defaults.items() if name.lower().encode() not in known}
        if not any(name.startswith(_RATE_LIMIT) for name in known):
            own |= ours.rate_limit
        if self.is_chunked:
            own["Transfer-Encoding"] = "chunked"
        if not self.keeps_alive:
            own["Connection"] = "close"
        elif not modern:
            own["Connection"] = "keep-alive"
        phrase = _PHRASES.get(self.status, "")
        lines = [
            f"HTTP/1.1 {self.status} {phrase}".encode(),
            *(f"{name}: {text}".encode("latin-1", "replace") for name, text in own.items()),
            *(name + b": " + value for name, value in fields),
        ]
        self.head = b"\r\n".join((*lines, b"", b""))

    def note(self, piece: bytes) -> None:
        """Take note of what is sent, to know whether it ends where an event does."""
        if self._is_open:
            self._tail = (self._tail + piece[-len(_LAST_EVENT) :])[-len(_LAST_EVENT) :]

    def last_words(self, failure: RagenError) -> bytes | None:
        """Return what ends an answer that was cut short; None if nothing can.

        Behind a whole event another one fits, which the official clients raise as an error; the
        stream then ends as it should. Everything else can only be left incomplete, so that the
        client sees that it is.

        Source: openai-python, `Stream.__stream__`: an event whose data has a key `error`.
        """
        if not self._is_open or not self._tail.endswith(_EVENT_ENDS):
            return None
        if self._tail.endswith(_LAST_EVENT):
            return b""
        return b"data: " + error_body(failure.message, "server_error") + b"\n\n"


def _request_id(response: ClientResponse) -> str:
    found = next(
        (value for name, value in response.raw_headers if name.lower() == _REQUEST_ID), b""
    )
    text = found.decode("ascii", "replace")
    return (
        text
        if text.isascii() and text.isprintable() and len(text) <= _REQUEST_ID_LENGTH_MAX
        else ""
    )
