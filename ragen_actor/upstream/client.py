"""The upstream as this server sees it: where it is, how many may be at it, and how that ends."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

from ragen_actor import settings
from ragen_actor.config import ConfigError
from ragen_actor.errors import InvalidRequest, NotConfigured, Unavailable
from ragen_actor.upstream import fields, targets
from ragen_actor.upstream.passage import ClientLeft, Passage, Relayed
from ragen_actor.upstream.reply import Ours

log = logging.getLogger(__name__)

IDLE_SECONDS = 4.0
"""How long a connection waits for the next request. Common servers close theirs after five, and a
request sent in that moment would be lost."""

END_SECONDS = 0.5
"""Kept of the time to stop, for those that are ended to say so to their clients."""

_READ_BYTES = 32 * 1024
_FIELD_BYTES_MAX = 16 * 1024
_SENT_BY_THE_CLIENT_OR_NOT_AT_ALL = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_KEY = re.compile(r"[!-~]+")


def api_key(variable: str, environ: Mapping[str, str]) -> str:
    """Return the upstream's key; empty when it asks for none.

    Args:
        variable: What holds the key; empty for none.
        environ: Environment variables.

    Raises:
        ConfigError: There is no such variable, or it holds nothing that could be a key; the text
            does not show it.
    """
    if not variable:
        return ""
    key = environ.get(variable, "").strip()
    if not _KEY.fullmatch(key):
        what = "is not set" if not key else "holds a character that no key has"
        raise ConfigError(f"[upstream] api_key_env: the environment variable {variable} {what}")
    return key


def warnings(upstream: settings.Upstream) -> Iterator[str]:
    """Yield what an operator may not have meant."""
    url = URL(upstream.base_url)
    if upstream.base_url and not url.path.rstrip("/").endswith("/v1"):
        yield f"[upstream] base_url does not end in /v1, as most do: {url}"
    near = url.host in ("localhost", "127.0.0.1", "::1")
    if upstream.api_key_env and url.scheme == "http" and not near:
        yield f"[upstream] the key travels unencrypted to {url}"


class Upstream:
    """The OpenAI-compatible server that generates, or none. Make it in a running event loop.

    Args:
        upstream: The settings.
        api_key: Its key; empty if it asks for none.
        requests_max: At it at once; further ones are refused.
    """

    def __init__(self, upstream: settings.Upstream, api_key: str, *, requests_max: int) -> None:
        self._settings = upstream
        self._base_url = upstream.base_url.rstrip("/")
        self._api_key = api_key
        self._requests_max = requests_max
        self._running: set[Passage] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._session: ClientSession | None = None

    def tail(self, path: str) -> str | None:
        """Return what of a path is the upstream's, whether or not there is one; None if nothing."""
        return targets.passed_on(path, self._settings.paths)

    @property
    def running(self) -> int:
        """Requests at it now."""
        return len(self._running)

    async def pass_on(
        self,
        request: web.BaseRequest,
        tail: str,
        query: str,
        body: AsyncIterator[bytes] | bytes | None,
        ours: Ours,
    ) -> Relayed:
        """Pass a request on and its answer back; return when that is written.

        Args:
            request: Its key is known.
            tail: From `tail`.
            query: What follows the question mark, as sent.
            body: Its body, in pieces or whole; None if it has none.
            ours: What this server adds to the answer's head.

        Raises:
            NotConfigured: There is no upstream.
            InvalidRequest: It wants what is not passed on.
            Unavailable: Too many are at it.
            UpstreamFailed: There is no answer that could be passed on.
            UpstreamTooSlow: There was none in time.
            RagenError: Reading the body raised it.
        """
        if not self._base_url:
            raise NotConfigured(
                "No upstream is configured for generation. The operator of this server sets "
                "base_url under [upstream] in config.toml."
            )
        if request.headers.get("Upgrade", "").lower() == "websocket":
            raise InvalidRequest("WebSocket connections are not passed on. Please use HTTP.")
        url = targets.url_of(self._base_url, tail, query)
        if len(self._running) >= self._requests_max:
            raise Unavailable("Too many requests are at the upstream. Please try again.")
        passage = Passage(
            request,
            ours,
            silent_seconds_max=self._settings.silent_seconds_max,
            api_key=self._api_key,
        )
        connection: Any = request.protocol
        self._running.add(passage)
        self._idle.clear()
        connection.on_lost = lambda: passage.end(ClientLeft())
        if connection.transport is None:
            connection.on_lost()
        try:
            headers = fields.to_upstream(request.raw_headers, self._api_key)
            return await passage.run(self._open(), url, headers, body)
        finally:
            connection.on_lost = None
            self._running.discard(passage)
            if not self._running:
                self._idle.set()

    async def stop(self, seconds: float) -> None:
        """Let what is on its way end by itself; end the rest when the time is up.

        Args:
            seconds: Until the last one has ended, whatever it is.
        """
        try:
            async with asyncio.timeout(max(seconds - END_SECONDS, 0.0)):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d requests at the upstream are ended", len(self._running))
            for passage in tuple(self._running):
                passage.end(Unavailable("The server is shutting down. Please try again."))
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("%d clients did not read their answers", len(self._running))
        if self._session is not None:
            await self._session.close()

    def _open(self) -> ClientSession:
        """Return the connections to the upstream. None is opened until there is a request."""
        if self._session is None:
            self._session = ClientSession(
                # Those at it are counted before they come here.
                connector=TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                timeout=ClientTimeout(total=None, connect=self._settings.connect_seconds_max),
                cookie_jar=DummyCookieJar(),
                skip_auto_headers=_SENT_BY_THE_CLIENT_OR_NOT_AT_ALL,
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_READ_BYTES,
                max_line_size=_FIELD_BYTES_MAX,
                max_field_size=_FIELD_BYTES_MAX,
            )
        return self._session
