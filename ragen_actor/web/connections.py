"""Connections: how many there may be, how long a head may take, and what a broken one is told."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from ragen_actor.web.gate import Gate

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 16 * 1024
FIELD_BYTES_MAX = 16 * 1024
LINGER_SECONDS = 2.0
SWEEP_SECONDS = 0.5
SHUTDOWN_SECONDS_MIN = 0.2


class ApiServer(web.Server):
    """Makes a `Connection` for each client and ends those whose request's head never ends.

    Args:
        gate: Where complete requests go.
        connections_max: Served at once. As many again wait, unread, until one of these ends;
            further ones are cut off.
        header_seconds_max: For a request's head to arrive, and for a new client to begin one.
        keepalive_seconds: For the next request to begin.
        unread_seconds_max: For a client to read anything of an answer that waits for it.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        connections_max: int,
        header_seconds_max: float,
        keepalive_seconds: float,
        unread_seconds_max: float,
    ) -> None:
        super().__init__(gate.handle)
        self.gate = gate
        self._connections_max = connections_max
        self._served: set[web.RequestHandler] = set()
        self._waiting: dict[Connection, asyncio.Transport] = {}
        self._header_seconds_max = header_seconds_max
        self._keepalive_seconds = keepalive_seconds
        self._unread_seconds_max = unread_seconds_max
        self.stop_by = math.inf
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
            # Unpacking would happen before the key is known.
            auto_decompress=False,
            logger=log,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Serve a new client, or let it wait, or turn it away."""
        super().connection_made(handler, transport)
        if len(self._served) < self._connections_max:
            self._served.add(handler)
        elif isinstance(handler, Connection) and len(self._waiting) < self._connections_max:
            self._waiting[handler] = transport
            handler.held = b""
            self._loop.call_soon(self._pause, handler)
        else:
            self._loop.call_soon(handler.force_close)

    def _pause(self, handler: Connection) -> None:
        """Read no more of a client that waits; its transport is ready for this a moment later."""
        transport = self._waiting.get(handler)
        if transport is not None:
            transport.pause_reading()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Serve the client that has waited longest."""
        super().connection_lost(handler, exc)
        if isinstance(handler, Connection):
            self._waiting.pop(handler, None)
        if handler not in self._served:
            return
        self._served.discard(handler)
        for successor, transport in self._waiting.items():
            del self._waiting[successor]
            self._served.add(successor)
            transport.resume_reading()
            successor.serve()
            return

    def _sweep(self) -> None:
        """Cut off the slow: one timer for all connections."""
        now = self._loop.time()
        for connection in self.connections:
            assert isinstance(connection, Connection)
            if 0.0 < connection.head_since < now - self._header_seconds_max:
                connection.force_close()
            elif connection.unread_since(now) < now - self._unread_seconds_max:
                connection.abort()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def shutdown(self, timeout: float | None = None) -> None:
        """End every connection, those with a request in hand after their answer, by `stop_by`."""
        self._sweeper.cancel()
        left = max(self.stop_by - self._loop.time(), SHUTDOWN_SECONDS_MIN)
        # The framework waits for a handler twice: for its end, and for that of its cancellation.
        await super().shutdown(min(left, timeout or left) / 2)


class Connection(web.RequestHandler):
    """One client.

    Attributes:
        head_since: When the head that is still incomplete began, on the event loop's clock; 0.0
            when none is awaited.
        on_lost: Called once the client is gone; None while nobody has to know at once.
        held: What a client that waits to be served has sent already; None once it is served.
    """

    __slots__ = ("_server", "_unread", "_unread_since", "head_since", "held", "on_lost")

    def __init__(self, server: ApiServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self.head_since = 0.0
        self.held: bytes | None = None
        self.on_lost: Callable[[], None] | None = None
        self._unread = 0
        self._unread_since = 0.0

    def unread_since(self, now: float) -> float:
        """Return since when the client has read nothing of what waits for it; `now` if it does."""
        transport = self.transport
        unread = 0 if transport is None else transport.get_write_buffer_size()
        if not unread or unread < self._unread or not self._unread:
            self._unread_since = now
        self._unread = unread
        return self._unread_since

    def abort(self) -> None:
        """End the connection with what it has not read."""
        if self.transport is not None:
            self.transport.abort()
        self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client."""
        self.head_since = self._loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever works for this client that it is gone."""
        if self.on_lost is not None:
            self.on_lost()
        super().connection_lost(exc)

    def serve(self) -> None:
        """Go on with what was sent while there was no room."""
        held, self.held = self.held, None
        self.head_since = self._loop.time()
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and note whether they leave a head incomplete."""
        if self.held is not None:
            self.held += data
            return
        super().data_received(data)
        if self._current_request is not None and self._messages:
            self._break_body(self._current_request)
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.head_since = 0.0
        elif not self.head_since:
            self.head_since = self._loop.time()

    def _break_body(self, request: web.BaseRequest) -> None:
        """Tell the reader of a body that its rest is no HTTP, rather than let it wait for more."""
        fault = getattr(self._messages[-1][0], "exc", None)
        if fault is not None and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError(str(fault)))

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Stay silent about a body that cannot be unpacked and that nobody wanted to read."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what no handler answered, in the shape of all errors."""
        if isinstance(exc, ConnectionError):
            raise exc
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if isinstance(exc, BadHttpMessage):
            reason = " ".join(exc.message.split("\n")[0].split()).rstrip(":")
            text = f"The request is no valid HTTP: {reason}" if reason else "Invalid HTTP request"
        else:
            log.error("a request failed outside its handler", exc_info=exc)
            text = "The server had an error while processing your request."
        return self._server.gate.refusal(request, status, text[:300])
