"""Connections: how many there may be, how long a head may take, and what a broken one is told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from ragen_actor.web.error_map import SERVER_ERROR, error_body
from ragen_actor.web.gate import Gate

log = logging.getLogger(__name__)

_TOO_MANY_BODY = error_body("The server has too many connections. Please try again.", SERVER_ERROR)
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_TOO_MANY_BODY), _TOO_MANY_BODY)
)
LINE_BYTES_MAX = 16 * 1024
FIELD_BYTES_MAX = 16 * 1024
LINGER_SECONDS = 2.0
SWEEP_SECONDS = 0.5


class ApiServer(web.Server):
    """Makes a `Connection` for each client and ends those whose request's head never ends.

    Args:
        gate: Where complete requests go.
        connections_max: Beyond it a client is told to come back, and cut off.
        header_seconds_max: For a request's head to arrive, and for a new client to begin one.
        keepalive_seconds: For the next request to begin.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        connections_max: int,
        header_seconds_max: float,
        keepalive_seconds: float,
    ) -> None:
        super().__init__(gate.handle)
        self.gate = gate
        self.connections_max = connections_max
        self._header_seconds_max = header_seconds_max
        self._keepalive_seconds = keepalive_seconds
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def __call__(self) -> Connection:
        """Return the protocol of one new connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=self._keepalive_seconds,
            access_log=None,
            lingering_time=LINGER_SECONDS,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            logger=log,
        )

    def _sweep(self) -> None:
        """Cut off the slow: one timer for all connections."""
        horizon = self._loop.time() - self._header_seconds_max
        for connection in self.connections:
            if isinstance(connection, Connection) and 0.0 < connection.head_since < horizon:
                connection.force_close()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def shutdown(self, timeout: float | None = None) -> None:
        """End every connection, those with a request in hand after their answer."""
        self._sweeper.cancel()
        await super().shutdown(timeout)


class Connection(web.RequestHandler):
    """One client.

    Attributes:
        head_since: When the head that is still incomplete began, on the event loop's clock; 0.0
            when none is awaited.
    """

    __slots__ = ("_server", "head_since")

    def __init__(self, server: ApiServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self.head_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client, or turn it away if there are too many."""
        super().connection_made(transport)
        self.head_since = self._loop.time()
        if len(self._server.connections) > self._server.connections_max:
            assert isinstance(transport, asyncio.Transport)
            transport.write(_TOO_MANY)
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and note whether they leave a head incomplete."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.head_since = 0.0
        elif not self.head_since:
            self.head_since = self._loop.time()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what no handler answered, in the shape of all errors."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if isinstance(exc, BadHttpMessage):
            reason = " ".join(exc.message.split("\n")[0].split()).rstrip(":")
            text = f"The request is no valid HTTP: {reason}" if reason else "Invalid HTTP request"
        else:
            log.error("a request failed outside its handler", exc_info=exc)
            text = "The server had an error while processing your request."
        answer = self._server.gate.refusal(request, status, text[:300])
        answer.force_close()
        return answer
