"""One connection: where its bytes go, and what a client that breaks the rules is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from ragen_actor.web.fast_path import FastPath
from ragen_actor.web.gate import Gate
from ragen_actor.web.outbox import Outbox

log = logging.getLogger(__name__)


class Connection(web.RequestHandler):
    """One client.

    The framework and the fast path take turns: a request goes to the fast path if it begins where
    the one before it ended and the framework has nothing in hand.

    Attributes:
        head_since: When the head that is still incomplete began, on the event loop's clock; 0.0
            when none is awaited.
        body_since: Since when the fast path waits for the rest of a body; 0.0 if it does not.
        held: What a client that waits to be served has sent already; None once it is served.
        on_lost: Called once the client is gone; None while nobody has to know at once.
        peer: The address of the other end.
    """

    __slots__ = (
        "_ended",
        "_fast",
        "_gate",
        "_keepalive_seconds",
        "_keeps_open",
        "_later",
        "_left",
        "_outbox",
        "_rendered",
        "_unread",
        "_unread_since",
        "body_since",
        "head_since",
        "held",
        "on_lost",
        "peer",
    )

    def __init__(
        self,
        server: web.Server,
        gate: Gate,
        outbox: Outbox,
        *,
        keepalive_timeout: float,
        **options: Any,
    ) -> None:
        super().__init__(server, keepalive_timeout=keepalive_timeout, **options)
        self._gate = gate
        self._keepalive_seconds = keepalive_timeout
        self._fast = FastPath(gate, self)
        self._outbox = outbox
        # The fast path's answer, until it is written.
        self._rendered = b""
        self._keeps_open = True
        # Bytes that the framework lacks to the end of its last request; -1 where nobody knows.
        self._left = 0
        # What came while a request was being answered or the client did not read.
        self._later = b""
        self._ended: asyncio.Future[None] | None = None
        self.head_since = 0.0
        self.body_since = 0.0
        self.held: bytes | None = None
        self.on_lost: Callable[[], None] | None = None
        self.peer: str | None = None
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
        name = self.peername
        self.peer = str(name[0]) if isinstance(name, tuple) else None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever works for this client that it is gone."""
        if self.on_lost is not None:
            self.on_lost()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Write what is ready for a client that sends no more: the connection ends with this."""
        self.write()
        super().eof_received()

    def serve(self) -> None:
        """Go on with what was sent while there was no room."""
        held, self.held = self.held, None
        self.head_since = self._loop.time()
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, on the fast path if they fit there."""
        if self.held is not None:
            self.held += data
        elif self._is_answering or (self._later and data):
            self._later += data
            if self.transport is not None:
                self.transport.pause_reading()
        elif self._left or not data or not self._is_idle():
            self._give(data)
        else:
            rest = self._fast.feed(data)
            if not self._fast.held:
                self.body_since = 0.0
            elif not self.body_since:
                self.body_since = self._loop.time()
            if rest:
                self._left = self._fast.due
                self._give(rest)
            else:
                self.head_since = 0.0

    def give_up(self) -> None:
        """Let the framework have a request whose body does not come to its end."""
        self.body_since = 0.0
        rest = self._fast.give_up()
        self._left = self._fast.due
        self._give(rest)

    def send(self, rendered: bytes, *, keeps_open: bool) -> None:
        """Have an answer of the fast path's written, with all others of this turn."""
        self._rendered = rendered
        self._keeps_open = keeps_open
        self._outbox.put(self)

    def write(self) -> None:
        """Write the answer if there is one, and go on with the connection or end it."""
        rendered, self._rendered = self._rendered, b""
        if not rendered:
            return
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(rendered)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_seconds
        if not self._keeps_open:
            self.force_close()
        elif self.writing_paused:
            self.transport.pause_reading()
        elif self._later:
            self._loop.call_soon(self._go_on)

    @property
    def _is_answering(self) -> bool:
        """Tell whether the fast path has a request that is not answered, or not written yet."""
        return self._fast.busy or bool(self._rendered)

    def resume_writing(self) -> None:
        """Go on when the client has read what it was sent."""
        super().resume_writing()
        self._go_on()

    def _go_on(self) -> None:
        """Take in what had to wait."""
        if self._is_answering or self.transport is None or not self._is_idle():
            return
        if self.transport.is_closing():
            return  # Nobody would get the answers.
        later, self._later = self._later, b""
        self.transport.resume_reading()
        if later:
            self.data_received(later)

    def _is_idle(self) -> bool:
        """Tell whether the framework waits for a request, or has not begun to."""
        waiter = self._waiter
        return not self._request_count if waiter is None else not waiter.done()

    def _give(self, data: bytes) -> None:
        """Let the framework have bytes, and note whether they leave a head incomplete."""
        if data:
            self._left = max(-1, self._left - len(data)) if self._left > 0 else -1
        super().data_received(data)
        if self._current_request is not None and self._messages:
            self._break_body(self._current_request)
        if not self._is_idle():
            self.head_since = 0.0
        elif not self.head_since:
            self.head_since = self._loop.time()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End the connection, after the answer to a request in hand."""
        if self._is_answering:
            self._ended = self._loop.create_future()
            await asyncio.wait({self._ended}, timeout=timeout)
        await super().shutdown(timeout)

    def _process_keepalive(self) -> None:
        """End the connection if it has been idle for long."""
        if self._is_answering or self._fast.held:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_seconds
        super()._process_keepalive()

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
        return self._gate.malformed(request, status, text[:300])
