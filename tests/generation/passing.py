"""A server and an upstream of the test's own, both real and both in the test's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from ragen_actor.config import Config, Upstream
from tests.model.serving import Serving, serving

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
KEY_VARIABLE = "UPSTREAM_KEY_OF_A_TEST"
UPSTREAM_KEY = "sk-upstream-0123456789-secret"
SECONDS_MAX = 10.0


@dataclass
class Passing:
    """The two.

    Attributes:
        server: Ours.
        handler: What the upstream does; a test puts its own here.
        seen: What has come to the upstream.
        left: Set once the upstream has seen a client leave before the answer's end.
    """

    server: Serving
    handler: Handler
    seen: list[web.BaseRequest] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def settled(self) -> None:
        """Return once nothing is on its way to the upstream, and no connection is taken."""
        async with asyncio.timeout(SECONDS_MAX):
            while self.server.upstream.running or self.taken:
                await asyncio.sleep(0.005)

    @property
    def taken(self) -> int:
        """Connections that the client library has handed out and not got back."""
        session = self.server.upstream._session
        connector = None if session is None else session.connector
        return 0 if connector is None else len(connector._acquired)


@asynccontextmanager
async def passing(
    data_dir: Path, config: Config, monkeypatch: pytest.MonkeyPatch, prefix: str = ""
) -> AsyncIterator[Passing]:
    """Start both; `config` lacks the upstream's address, which ends in `prefix` and `/v1`."""
    monkeypatch.setenv(KEY_VARIABLE, UPSTREAM_KEY)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        both.seen.append(request)
        try:
            return await both.handler(request)
        except (ConnectionError, asyncio.CancelledError):
            both.left.set()
            raise

    upstream = web.ServerRunner(
        web.Server(handle, handler_cancellation=True, access_log=None, auto_decompress=False),
        shutdown_timeout=0.1,
    )
    await upstream.setup()
    await web.TCPSite(upstream, "127.0.0.1", 0).start()
    settings = {each: getattr(config.upstream, each) for each in Upstream.__struct_fields__}
    settings |= {
        "base_url": f"http://127.0.0.1:{upstream.addresses[0][1]}{prefix}/v1",
        "api_key_env": KEY_VARIABLE,
    }
    whole = Config(
        server=config.server,
        upstream=Upstream(**settings),
        tiers=config.tiers,
        generation_tiers=config.generation_tiers,
    )
    async with serving(data_dir, whole) as server:
        both = Passing(server, echo)
        yield both
        await both.settled()
    await upstream.cleanup()


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Answer with the body that was sent."""
    body = b"".join([piece async for piece in request.content.iter_any()])
    return web.Response(body=body, content_type="application/octet-stream")


def answering(
    body: bytes | str, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> Handler:
    """Answer always the same."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        content = body.encode() if isinstance(body, str) else body
        response = web.Response(body=content, status=status)
        for name, text in headers:
            response.headers.add(name, text)
        return response

    return answer


async def events(request: web.BaseRequest, **headers: str) -> web.StreamResponse:
    """Begin a stream of server-sent events."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    await response.prepare(request)
    return response


def cut(request: web.BaseRequest) -> None:
    """Break the connection off."""
    assert request.transport is not None
    request.transport.abort()
