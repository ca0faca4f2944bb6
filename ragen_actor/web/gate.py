"""The one door: what every request passes, in this order, before a handler sees it.

    URL, method, key, organisation and project headers, token bucket, size of the body, body

So nothing of a body is read for a stranger, and nothing is written for a request that is refused.
What comes back through the door is always JSON with the same headers, whatever happened.
"""

from __future__ import annotations

import logging
import time
from asyncio import Future, get_running_loop
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from ragen_actor.actors.mailbox import Reply
from ragen_actor.errors import RagenError, RateLimited, Unauthenticated, Unavailable
from ragen_actor.keyring import Keyring
from ragen_actor.token_bucket import TokenBuckets, rate_limit_headers, rate_limit_message
from ragen_actor.upstream import Relayed
from ragen_actor.web import routes
from ragen_actor.web.access import AccessLog
from ragen_actor.web.answer import Answer, render
from ragen_actor.web.body import Bodies, BodyTooLarge, BodyTooSlow, BrokenBody
from ragen_actor.web.call import Api, Call
from ragen_actor.web.cors import Cors
from ragen_actor.web.credentials import identify
from ragen_actor.web.error_map import (
    INVALID_REQUEST,
    SERVER_ERROR,
    error_body,
    error_headers,
    status_and_type,
)
from ragen_actor.web.exchange import Exchange
from ragen_actor.web.generation import Generation
from ragen_actor.web.head import Heads

log = logging.getLogger(__name__)

DASHBOARD = "/dashboard/"
Visitors = Callable[[web.BaseRequest, Exchange], Awaitable[web.StreamResponse]]
"""Answers a request with whatever a browser understands."""

BODY_METHODS = frozenset(("POST", "PATCH"))
_OK = b'{"status":"ok"}'
_NONE: Mapping[str, str] = {}


class Gate:
    """Takes every request and renders every answer.

    A request comes on one of two ways: `handle` takes it from the framework, `fast_path` calls the
    four steps of which `handle` is made: `admit`, `ask`, then `answer` or `refuse`.

    Attributes:
        api: What the handlers reach; None until storage has recovered.
        bodies: What bounds the bodies in memory.
        buckets: The tokens of all keys.
        clock: Seconds, never going back.
        generation: What is passed on to the upstream.
        heads: Blocks of header fields that were seen.
        keyring: Who may ask.
        draining: The server stops: it answers what it has begun, and refuses the rest.
        dashboard: Answers what browsers ask at and below `DASHBOARD`; None if it is off.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        buckets: TokenBuckets,
        bodies: Bodies,
        generation: Generation,
        cors: Cors,
        access_log: AccessLog | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api: Api | None = None
        self.draining = False
        self.dashboard: Visitors | None = None
        self.bodies = bodies
        self.heads = Heads(bodies.bytes_max)
        self.generation = generation
        self.clock = clock
        self.keyring = keyring
        self.buckets = buckets
        self._cors = cors
        self._access_log = access_log

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the framework's."""
        exchange = self._exchange(request)
        if self.dashboard is not None and f"{exchange.path}/".startswith(DASHBOARD):
            response = await self.dashboard(request, exchange)
            if self._access_log is not None:
                self._access_log.write(exchange, response.status, self.clock() - exchange.started)
            return response
        try:
            if exchange.path in _HEALTH:
                rendered = self.answer(exchange, self._health(exchange))
            elif exchange.method == "OPTIONS" and self._cors.is_on:
                rendered = self.answer(exchange, b"", 204, self._cors.preflight(exchange.fields))
            else:
                self.admit(exchange)
                if exchange.tail is not None:
                    return await self._pass_on(request, exchange)
                rendered = self.answer(exchange, await self._read_and_ask(request, exchange))
        except ConnectionError:
            raise
        except Exception as error:
            rendered = self.refuse(exchange, error)
        return Answer(request, rendered, keeps_open=exchange.keeps_open)

    async def _pass_on(self, request: web.BaseRequest, exchange: Exchange) -> Relayed:
        self._reach()
        cors = self._cors.headers(exchange.fields) if self._cors.is_on else {}
        relayed = await self.generation.pass_on(request, exchange, cors)
        exchange.id = relayed.request_id
        if self._access_log is not None:
            self._access_log.write(exchange, relayed.status, self.clock() - exchange.started)
        return relayed

    async def _read_and_ask(self, request: web.BaseRequest, exchange: Exchange) -> bytes:
        reply: Future[bytes] = get_running_loop().create_future()
        if exchange.method not in BODY_METHODS:
            self.ask(exchange, b"", reply)
            return await reply
        self._reach()
        room = self.bodies.take_room(request)
        try:
            self.ask(exchange, await self.bodies.read(request), reply)
            return await reply
        finally:
            self.bodies.give_back(room)

    def admit(self, exchange: Exchange) -> None:
        """Let a request in: find its route and whose it is, and take a token.

        Raises:
            RagenError: It is not let in.
        """
        method, path, fields = exchange.method, exchange.path, exchange.fields
        buckets = self.buckets
        if not path.startswith(routes.THREADS):
            exchange.tail = self.generation.find(method, path)
        if exchange.tail is None:
            exchange.route = routes.find(method, path)
        else:
            buckets = self.generation.buckets
        exchange.key = key = identify(self.keyring, fields)
        taken = buckets.take(key.hash, key.tier, exchange.started)
        if fields.get("openai-organization", "") not in ("", key.org) or fields.get(
            "openai-project", ""
        ) not in ("", key.project):
            exchange.taken = taken if taken.allowed else None  # It is no refusal for the rate.
            raise Unauthenticated(
                "OpenAI-Organization header should match organization for API key",
                code="mismatched_organization",
            )
        exchange.taken = taken
        if not taken.allowed:
            raise RateLimited(
                rate_limit_message(taken),
                code="rate_limit_exceeded",
                retry_after_ms=taken.retry_after_ms,
            )

    def ask(self, exchange: Exchange, body: bytes, reply: Reply) -> None:
        """Ask who answers a request that was let in; the answer may come before this returns.

        Raises:
            RagenError: It is refused.
        """
        assert exchange.key is not None
        route = exchange.route
        call = Call(exchange.key, route.thread_id, route.message_id, exchange.query, body, reply)
        route.handler(self._reach(), call)

    def answer(
        self, exchange: Exchange, body: bytes, status: int = 200, extra: Mapping[str, str] = _NONE
    ) -> bytes:
        """Render an answer.

        Args:
            exchange: What it answers.
            body: JSON.
            status: HTTP's.
            extra: Header fields that not every answer has.
        """
        seconds = self.clock() - exchange.started
        if self._access_log is not None:
            self._access_log.write(exchange, status, seconds)
        taken = exchange.taken
        if taken is not None and taken.limit:
            limits = rate_limit_headers(taken)
            extra = {**extra, **limits} if extra else limits
        if self._cors.is_on:
            extra = {**self._cors.headers(exchange.fields), **extra}
        return render(exchange, status, body, extra, seconds=seconds)

    def refuse(self, exchange: Exchange, error: BaseException) -> bytes:
        """Render the answer to a request that did not."""
        if not isinstance(error, RagenError):
            log.error(
                "%s %s %s failed", exchange.id, exchange.method, exchange.path, exc_info=error
            )
            error = RagenError("The server had an error while processing your request.")
        status, kind = status_and_type(error)
        key = exchange.key
        if isinstance(error, Unavailable) and exchange.taken is not None and key is not None:
            exchange.taken = self._buckets_of(exchange).give_back(key.hash, key.tier, self.clock())
        if isinstance(error, BrokenBody | BodyTooLarge | BodyTooSlow):
            exchange.keeps_open = False
        message = error.message if status != 500 else f"{error.message} ({exchange.id})"
        body = error_body(message, kind, error.param, error.code)
        return self.answer(exchange, body, status, error_headers(error))

    def malformed(self, request: web.BaseRequest, status: int, message: str) -> Answer:
        """Return the answer to what is no request that could pass the door."""
        exchange = self._exchange(request)
        exchange.keeps_open = False
        body = error_body(message, INVALID_REQUEST if status < 500 else SERVER_ERROR)
        rendered = render(exchange, status, body, self._cors.headers(exchange.fields), seconds=0.0)
        return Answer(request, rendered, keeps_open=False)

    def _exchange(self, request: web.BaseRequest) -> Exchange:
        return Exchange(
            request.method,
            request.raw_path,
            request.headers,
            peer=request.remote,
            started=self.clock(),
            version=request.version,
            keeps_open=request.keep_alive,
        )

    def _buckets_of(self, exchange: Exchange) -> TokenBuckets:
        return self.buckets if exchange.tail is None else self.generation.buckets

    def _reach(self) -> Api:
        if self.draining:
            raise Unavailable("The server is shutting down. Please try again.")
        if self.api is None:
            raise Unavailable("The server is starting. Please try again.")
        return self.api

    def _health(self, exchange: Exchange) -> bytes:
        if exchange.method not in ("GET", "HEAD"):
            raise routes.WrongMethod(exchange.method, exchange.path, ("GET",))
        return _HEALTH[exchange.path](self)

    def _alive(self) -> bytes:
        """The process has read its data and serves; it may be about to stop."""
        if self.api is None:
            raise Unavailable("The server is starting.")
        return _OK

    def _ready(self) -> bytes:
        """It takes requests and writes them."""
        body = self._alive()
        if self.draining:
            raise Unavailable("The server is shutting down.")
        assert self.api is not None
        if self.api.registry.trouble is not None:
            raise Unavailable(f"The server cannot write: {self.api.registry.trouble}")
        return body


_HEALTH: dict[str, Callable[[Gate], bytes]] = {"/healthz": Gate._alive, "/readyz": Gate._ready}
