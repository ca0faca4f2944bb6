"""The dashboard's own door: who is signed in, what may be asked, and what a failure looks like."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from ragen_actor.actors import Registry
from ragen_actor.dashboard import paths, protection
from ragen_actor.dashboard.assets import Assets
from ragen_actor.dashboard.attempts import Attempts
from ragen_actor.dashboard.pages import Pages
from ragen_actor.dashboard.sessions import Session, Sessions
from ragen_actor.dashboard.signing import SIGN_IN, SIGN_OUT, Signing, single
from ragen_actor.dashboard.visit import Backend, Forbidden, SignedOut, Visit
from ragen_actor.errors import RagenError, RateLimited, Unavailable
from ragen_actor.keyring import Keyring
from ragen_actor.settings import DEFAULT_TIER, Config
from ragen_actor.token_bucket import TokenBuckets, rate_limit_message
from ragen_actor.vault import Vault
from ragen_actor.web.access import AccessLog
from ragen_actor.web.body import Bodies
from ragen_actor.web.error_map import (
    INVALID_REQUEST,
    error_body,
    error_headers,
    status_and_type,
)
from ragen_actor.web.exchange import Exchange
from ragen_actor.web.routes import UnknownUrl, WrongMethod

log = logging.getLogger(__name__)

_ASSETS = paths.ROOT + "/assets/"
_BODY_METHODS = ("POST", "PATCH")
CSRF = "X-CSRF-Token"


class Dashboard:
    """Answers every request at and below `/dashboard`.

    Attributes:
        backend: What the pages show; None until storage has recovered.

    Args:
        config: All settings.
        keyring: The keys in force.
        buckets: The keys' tokens, of which each change takes one, as in the API.
        bodies: Reads bodies, within the bounds of all requests.
        random: Returns that many random bytes.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        config: Config,
        *,
        keyring: Keyring,
        buckets: TokenBuckets,
        bodies: Bodies,
        random: Callable[[int], bytes] = secrets.token_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = config.dashboard
        self.backend: Backend | None = None
        self._messages_max = config.server.messages_per_create_max
        self._streams_max = settings.streams_max
        self._buckets = buckets
        self._reads = TokenBuckets({DEFAULT_TIER: settings.reads_per_minute})
        self._bodies = bodies
        self._clock = clock
        self._pages = Pages()
        self._assets = Assets()
        self._sessions = Sessions(
            keyring,
            sessions_max=settings.sessions_max,
            idle_seconds=settings.session_idle_seconds,
            seconds_max=settings.session_seconds_max,
            clock=clock,
            random=random,
        )
        self._signing = Signing(
            keyring=keyring,
            sessions=self._sessions,
            attempts=Attempts(settings.sign_ins_per_minute),
            projects=settings.projects,
            bodies=bodies,
            clients=AccessLog(config.server.proxy_networks()),
            pages=self._pages,
            random=random,
            clock=clock,
        )

    def open(self, registry: Registry, vault: Vault) -> None:
        """Begin to show what there is: storage has recovered."""
        registry.watchers.watches_max = self._streams_max
        self.backend = Backend(registry, vault, self._messages_max)

    async def handle(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        """Answer one request.

        Args:
            request: As it came.
            exchange: What the server's door has found out about it; whose it is, is added here.
        """
        try:
            response = await self._answer(request, exchange)
        except ConnectionError:
            raise
        except Exception as error:
            response = self._refusal(exchange, error)
        if not response.prepared:
            protection.protect(response)
            response.headers["x-request-id"] = exchange.id
        return response

    async def _answer(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        method, path = exchange.method, exchange.path
        if path.startswith(_ASSETS) and method in ("GET", "HEAD"):
            asset = self._assets.answer(request, path.removeprefix(_ASSETS))
            if asset is None:
                raise UnknownUrl(f"Invalid URL ({method} {path})")
            return asset
        fields = single(exchange.query)
        if path in (SIGN_IN, SIGN_OUT):
            return await self._sign(request, path, fields)
        found = paths.find(method, path)
        session = self._signing.session(request)
        if session is None:
            if found.is_page and method in ("GET", "HEAD"):
                return self._signing.redirect(path)
            raise SignedOut("You are no longer signed in.")
        exchange.key = session.key
        self._admit(request, session)
        if self.backend is None:
            raise Unavailable("The server is starting. Please try again.")
        visit = Visit(
            request=request,
            session=session,
            sessions=self._sessions,
            backend=self.backend,
            pages=self._pages,
            thread_id=found.thread_id,
            message_id=found.message_id,
            query=exchange.query,
            fields=fields,
            body=await self._body(request),
        )
        try:
            return await found.handler(visit)
        except Unavailable:
            if method not in ("GET", "HEAD"):
                self._buckets.give_back(session.key.hash, session.key.tier, self._clock())
            raise

    async def _sign(
        self, request: web.BaseRequest, path: str, fields: dict[str, str]
    ) -> web.Response:
        if path == SIGN_OUT:
            if request.method != "POST":
                raise WrongMethod(request.method, path, ("POST",))
            return await self._signing.sign_out(request, self._signing.session(request))
        if request.method not in ("GET", "HEAD", "POST"):
            raise WrongMethod(request.method, path, ("GET", "POST"))
        return await self._signing.sign_in(request, fields)

    def _admit(self, request: web.BaseRequest, session: Session) -> None:
        """Let a request pass, for a token.

        Raises:
            Forbidden: It would change something and comes from no page of this session.
            RateLimited: The key has no token left.
        """
        key = session.key
        if request.method in ("GET", "HEAD"):
            taken = self._reads.take(key.hash, DEFAULT_TIER, self._clock())
        else:
            token = request.headers.get(CSRF, "")
            if protection.is_foreign(request) or not protection.matches(token, session.csrf):
                raise Forbidden("This page is too old to change anything. Please reload it.")
            taken = self._buckets.take(key.hash, key.tier, self._clock())
        if not taken.allowed:
            raise RateLimited(
                rate_limit_message(taken),
                code="rate_limit_exceeded",
                retry_after_ms=taken.retry_after_ms,
            )

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.method not in _BODY_METHODS:
            return b""
        room = self._bodies.take_room(request)
        try:
            return await self._bodies.read(request)
        finally:
            self._bodies.give_back(room)

    def _refusal(self, exchange: Exchange, error: Exception) -> web.Response:
        """Return a failure as a page to a person, and as the API's JSON to a script."""
        if not isinstance(error, RagenError):
            log.error(
                "%s %s %s failed", exchange.id, exchange.method, exchange.path, exc_info=error
            )
            error = RagenError("The server had an error while processing your request.")
        if isinstance(error, Forbidden):
            status, kind = 403, INVALID_REQUEST
        elif isinstance(error, SignedOut):
            status, kind = 401, INVALID_REQUEST
        else:
            status, kind = status_and_type(error)
        headers = {} if isinstance(error, SignedOut) else error_headers(error)
        message = error.message if status != 500 else f"{error.message} ({exchange.id})"
        if _wants_page(exchange):
            return self._pages.response(
                "error.html",
                {"message": message, "code": status},
                status=status,
                headers=headers,
            )
        body = error_body(message, kind, error.param, error.code)
        return web.Response(
            status=status, body=body, headers=headers, content_type="application/json"
        )


def _wants_page(exchange: Exchange) -> bool:
    """Tell whether a person opened this, as browsers say; scripts ask for whatever there is."""
    return "text/html" in exchange.fields.get("accept", "")
