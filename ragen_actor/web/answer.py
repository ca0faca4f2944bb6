"""One answer as it goes over the wire: head and body in one write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

API_VERSION = "2020-10-01"

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
DEFAULTS = {"openai-version": API_VERSION}
"""Header fields of every answer of this server's own."""
ALWAYS = {"x-content-type-options": "nosniff", "Server": "ragen-actor"}
"""Header fields of every answer, also of those that are passed on."""
_FIXED = "".join(f"{name}: {text}\r\n" for name, text in (DEFAULTS | ALWAYS).items())
_date_of = (0, "")


class Answer(web.StreamResponse):
    """A whole response of known length, rendered by itself.

    The framework's response renders headers from a mapping that has to be built first, for any
    length, encoding and cookie that may come. Here all answers have the same few headers, and
    writing those down at once costs a fifth of it. What the framework asks of a response is here;
    its own attributes are not, and nothing but the connection gets to see this object.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        status: int,
        body: bytes,
        *,
        request_id: str,
        seconds: float,
        extra: Mapping[str, str],
        close: bool = False,
    ) -> None:
        """Render an answer.

        Args:
            request: What it answers.
            status: HTTP's.
            body: JSON; empty with status 204.
            request_id: `req_` and 32 hexadecimal digits.
            seconds: What answering took.
            extra: Further headers; names and values without line ends.
            close: Whether the connection ends with this answer.
        """
        # The framework's attributes are not set up: see above.
        self._writer = request.writer
        self._closing = close or not request.keep_alive
        rest = ""
        if extra:
            fields = [f"{name}: {value}" for name, value in extra.items()]
            assert not any("\r" in field or "\n" in field for field in fields)
            rest = "\r\n".join((*fields, ""))
        if self._closing:
            rest += "Connection: close\r\n"
        elif request.version < (1, 1):
            rest += "Connection: keep-alive\r\n"
        if status != 204:
            rest += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._bytes = (
            f"{_LINES[status]}Date: {_date()}\r\nx-request-id: {request_id}\r\n"
            f"openai-processing-ms: {seconds * 1000:.0f}\r\n{_FIXED}{rest}\r\n"
        ).encode("latin-1", "replace")
        if request.method != hdrs.METH_HEAD:
            self._bytes += body

    @property
    def keep_alive(self) -> bool | None:
        """Tell whether the connection stays open."""
        return not self._closing

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
