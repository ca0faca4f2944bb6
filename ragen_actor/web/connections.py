"""Connections: how many there may be, and how slow each may be."""

from __future__ import annotations

import asyncio
import logging
import math

from aiohttp import web

from ragen_actor.web.connection import Connection
from ragen_actor.web.gate import Gate
from ragen_actor.web.outbox import Outbox

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 16 * 1024
FIELD_BYTES_MAX = 16 * 1024
LINGER_SECONDS = 2.0
BODY_SECONDS_MAX = 1.0
"""How long the fast path waits for the rest of a body; the framework has its own time for it."""
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
        self._outbox = Outbox(self._loop, self._served)
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
            self.gate,
            self._outbox,
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
            elif 0.0 < connection.body_since < now - BODY_SECONDS_MAX:
                connection.give_up()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def shutdown(self, timeout: float | None = None) -> None:
        """End every connection, those with a request in hand after their answer, by `stop_by`."""
        self._sweeper.cancel()
        left = max(self.stop_by - self._loop.time(), SHUTDOWN_SECONDS_MIN)
        # The framework waits for a handler twice: for its end, and for that of its cancellation.
        await super().shutdown(min(left, timeout or left) / 2)
