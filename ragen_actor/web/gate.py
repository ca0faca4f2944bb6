"""The one door: what every request passes, in this order, before a handler sees it.

    URL, method, key, organisation and project headers, token bucket, size of the body, body

So nothing of a body is read for a stranger, and nothing is written for a request that is refused.
What comes back through the door is always JSON with the same headers, whatever happened.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from ragen_actor.errors import RagenError, RateLimited, Unauthenticated, Unavailable
from ragen_actor.keyring import Key, Keyring
from ragen_actor.token_bucket import Taken, TokenBuckets, rate_limit_headers, rate_limit_message
from ragen_actor.web import routes
from ragen_actor.web.access import AccessLog
from ragen_actor.web.answer import Answer
from ragen_actor.web.body import Bodies, BodyTooLarge, BodyTooSlow, BrokenBody
from ragen_actor.web.call import Api, Call
from ragen_actor.web.cors import Cors
from ragen_actor.web.error_map import (
    INVALID_REQUEST,
    SERVER_ERROR,
    error_body,
    error_headers,
    status_and_type,
)

log = logging.getLogger(__name__)

DASHBOARD = "/dashboard"
Visitors = Callable[[web.BaseRequest, str, str], Awaitable[web.StreamResponse]]
"""Answers a request, its path and its query given, with whatever a browser understands."""

_BODY_METHODS = frozenset(("POST", "PATCH"))
_MASK_HEAD, _MASK_TAIL, _MASK_MAX = 8, 4, 64
_OK = b'{"status":"ok"}'


class Gate:
    """Takes every request and returns every response.

    Attributes:
        api: What the handlers reach; None until storage has recovered.
        draining: The server stops: it answers what it has begun, and refuses the rest.
        dashboard: Answers what people's browsers ask at and below `DASHBOARD`; None if it is off.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        buckets: TokenBuckets,
        bodies: Bodies,
        cors: Cors,
        access_log: AccessLog | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.api: Api | None = None
        self.draining = False
        self.dashboard: Visitors | None = None
        self._keyring = keyring
        self._buckets = buckets
        self._bodies = bodies
        self._cors = cors
        self._access_log = access_log
        self._clock = clock

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = self._clock()
        path, _, query = _origin_form(request.raw_path).partition("?")
        if self.dashboard is not None and (path == DASHBOARD or path.startswith(DASHBOARD + "/")):
            return await self._visit(self.dashboard, request, path, query, started)
        request_id = _request_id()
        taken: Taken | None = None
        key: Key | None = None
        extra: dict[str, str] = {}
        status = 200
        broken = False
        try:
            if path in _HEALTH:
                body = _HEALTH[path](self, request.method, path)
            elif request.method == "OPTIONS" and (allowed := self._preflight(request)) is not None:
                body, extra, status = b"", allowed, 204
            else:
                route = routes.find(request.method, path)
                key = self._key(request.headers)
                foreign = _is_foreign(key, request.headers)
                taken = self._buckets.take(key.hash, key.tier, started)
                if foreign:
                    taken = taken if taken.allowed else None  # It is no refusal for the rate.
                    raise Unauthenticated(
                        "OpenAI-Organization header should match organization for API key",
                        code="mismatched_organization",
                    )
                if not taken.allowed:
                    raise RateLimited(
                        rate_limit_message(taken),
                        code="rate_limit_exceeded",
                        retry_after_ms=taken.retry_after_ms,
                    )
                body = await self._answer(request, route, key, query)
        except RagenError as error:
            status, kind = status_and_type(error)
            if isinstance(error, Unavailable) and taken is not None and key is not None:
                taken = self._buckets.give_back(key.hash, key.tier, self._clock())
            message = error.message if status != 500 else f"{error.message} ({request_id})"
            body = error_body(message, kind, error.param, error.code)
            extra = error_headers(error)
            broken = isinstance(error, BrokenBody | BodyTooLarge | BodyTooSlow)
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s %s %s failed", request_id, request.method, path)
            status = 500
            body = error_body(
                f"The server had an error while processing your request ({request_id}).",
                SERVER_ERROR,
            )
        seconds = self._clock() - started
        if self._access_log is not None:
            self._access_log.write(request, request_id, status, seconds, key)
        if taken is not None and taken.limit:
            extra = {**extra, **rate_limit_headers(taken)}
        return self._write(request, status, body, request_id, seconds, extra, close=broken)

    async def _visit(
        self,
        dashboard: Visitors,
        request: web.BaseRequest,
        path: str,
        query: str,
        started: float,
    ) -> web.StreamResponse:
        response = await dashboard(request, path, query)
        if self._access_log is not None:
            request_id = response.headers.get("x-request-id", "-")
            seconds = self._clock() - started
            self._access_log.write(request, request_id, response.status, seconds, None)
        return response

    async def _answer(
        self, request: web.BaseRequest, route: routes.Route, key: Key, query: str
    ) -> bytes:
        if self.draining:
            raise Unavailable("The server is shutting down. Please try again.")
        if self.api is None:
            raise Unavailable("The server is starting. Please try again.")
        if request.method not in _BODY_METHODS:
            call = Call(key, route.thread_id, route.message_id, query, b"")
            return await route.handler(self.api, call)
        room = self._bodies.take_room(request)
        try:
            sent = await self._bodies.read(request)
            call = Call(key, route.thread_id, route.message_id, query, sent)
            return await route.handler(self.api, call)
        finally:
            self._bodies.give_back(room)

    def refusal(self, request: web.BaseRequest, status: int, message: str) -> Answer:
        """Return the answer to what is no request that could pass the door."""
        kind = INVALID_REQUEST if status < 500 else SERVER_ERROR
        body = error_body(message, kind)
        return self._write(request, status, body, _request_id(), 0.0, {}, close=True)

    def _write(
        self,
        request: web.BaseRequest,
        status: int,
        body: bytes,
        request_id: str,
        seconds: float,
        extra: dict[str, str],
        *,
        close: bool,
    ) -> Answer:
        cors = self._cors.headers(request.headers)
        return Answer(
            request,
            status,
            body,
            request_id=request_id,
            seconds=seconds,
            extra={**cors, **extra} if cors else extra,
            close=close,
        )

    def _preflight(self, request: web.BaseRequest) -> dict[str, str] | None:
        return self._cors.preflight(request.headers)

    def _key(self, headers: Mapping[str, str]) -> Key:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if not token or scheme.lower() != "bearer":
            raise Unauthenticated(
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        key = self._keyring.find(token)
        if key is None:
            raise Unauthenticated(
                f"Incorrect API key provided: {_masked(token)}.", code="invalid_api_key"
            )
        return key

    def _alive(self, method: str, path: str) -> bytes:
        """The process has read its data and serves; it may be about to stop."""
        _only_get(method, path)
        if self.api is None:
            raise Unavailable("The server is starting.")
        return _OK

    def _ready(self, method: str, path: str) -> bytes:
        """It takes requests and writes them."""
        body = self._alive(method, path)
        if self.draining:
            raise Unavailable("The server is shutting down.")
        assert self.api is not None
        if self.api.registry.trouble is not None:
            raise Unavailable(f"The server cannot write: {self.api.registry.trouble}")
        return body


_HEALTH: dict[str, Callable[[Gate, str, str], bytes]] = {
    "/healthz": Gate._alive,
    "/readyz": Gate._ready,
}


def _origin_form(target: str) -> str:
    """Return path and query of a request's target, which a proxy may have sent with its host.

    Source: RFC 9112, 3.2.2.
    """
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path if slash else target


def _request_id() -> str:
    return "req_" + os.urandom(16).hex()


def _only_get(method: str, path: str) -> None:
    if method not in ("GET", "HEAD"):
        raise routes.WrongMethod(method, path, ("GET",))


def _is_foreign(key: Key, headers: Mapping[str, str]) -> bool:
    """Tell whether a header names an organisation or a project that is not the key's."""
    return headers.get("OpenAI-Organization", "") not in ("", key.org) or headers.get(
        "OpenAI-Project", ""
    ) not in ("", key.project)


def _masked(token: str) -> str:
    """Show no more of a key than its owner needs to recognise it."""
    token = "".join(character if character.isprintable() else "?" for character in token)
    hidden = len(token) - _MASK_HEAD - _MASK_TAIL
    if hidden <= 0:
        return "*" * len(token)
    return token[:_MASK_HEAD] + "*" * min(hidden, _MASK_MAX) + token[-_MASK_TAIL:]
