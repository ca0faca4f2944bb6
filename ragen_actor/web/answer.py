"""One answer as it goes over the wire: head and body as one piece."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from ragen_actor.web.exchange import Exchange

API_VERSION = "2020-10-01"

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
DEFAULTS = {"openai-version": API_VERSION}
"""Header fields of every answer of this server's own."""
ALWAYS = {"x-content-type-options": "nosniff", "Server": "ragen-actor"}
"""Header fields of every answer, also of those that are passed on."""
_FIXED = "".join(f"{name}: {text}\r\n" for name, text in (DEFAULTS | ALWAYS).items())
_date_of = (0, "")


def render(
    exchange: Exchange, status: int, body: bytes, extra: Mapping[str, str], *, seconds: float
) -> bytes:
    """Return all bytes of an answer.

    Args:
        exchange: What it answers.
        status: HTTP's.
        body: JSON; empty with status 204.
        extra: Further headers; names and values without line ends.
        seconds: What answering took.
    """
    rest = ""
    if extra:
        rest = "".join([f"{name}: {value}\r\n" for name, value in extra.items()])
        assert rest.count("\r") == rest.count("\n") == len(extra)
    if not exchange.keeps_open:
        rest += "Connection: close\r\n"
    elif exchange.version < (1, 1):
        rest += "Connection: keep-alive\r\n"
    if status != 204:
        rest += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head = (
        f"{_LINES[status]}Date: {_date()}\r\nx-request-id: {exchange.id}\r\n"
        f"openai-processing-ms: {seconds * 1000:.0f}\r\n{_FIXED}{rest}\r\n"
    ).encode("latin-1", "replace")
    return head if exchange.method == "HEAD" else head + body


class Answer(web.StreamResponse):
    """A rendered answer, as the framework wants a response.

    What the framework asks of a response is here; its own attributes are not, and nothing but the
    connection gets to see this object.

    Args:
        request: What it answers.
        rendered: All its bytes.
        keeps_open: Whether the connection stays open.
    """

    def __init__(self, request: web.BaseRequest, rendered: bytes, *, keeps_open: bool) -> None:
        # The framework's attributes are not set up: see above.
        self._writer = request.writer
        self._bytes = rendered
        self._keeps_open = keeps_open

    @property
    def keep_alive(self) -> bool | None:
        """Tell whether the connection stays open."""
        return self._keeps_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Do nothing: the head goes out with the body."""
        return None

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Write head and body at once, and wait for a client that has not read those before."""
        await self._writer.write(self._bytes)
        await self._writer.drain()


def _date() -> str:
    """Return the time as HTTP writes it; made anew once a second."""
    global _date_of
    now = int(time.time())
    if _date_of[0] != now:
        _date_of = (now, formatdate(now, usegmt=True))
    return _date_of[1]
