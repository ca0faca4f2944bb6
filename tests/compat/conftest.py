from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.conftest import OTHER_ORG
from tests.server_process import ServerProcess

Connect = Callable[..., Any]

TRANSPORTS: dict[str, Callable[..., Any]] = {
    "async": openai.DefaultAsyncHttpxClient,
    "aiohttp": openai.DefaultAioHttpClient,
}
# Nothing is encrypted here, and reading the machine's certificates takes 0.1 s for each client.
PLAIN: dict[str, Any] = {"verify": False}


async def done(result: Any) -> Any:
    """Wait for what an asynchronous client returned; a synchronous one has waited itself.

    One text then drives all three clients, and none of them can be forgotten.
    """
    return await result if inspect.isawaitable(result) else result


async def every(pages: Any) -> list[Any]:
    """Run a for loop over a list and let the client fetch page after page."""
    if hasattr(pages, "__aiter__"):
        return [item async for item in pages]
    return list(pages)


@pytest.fixture(params=["sync", *TRANSPORTS])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Make official clients of one kind: `connect(server, key=, **options)`."""
    made: list[Any] = []

    def make(server: ServerProcess, *, key: str | None = None, **options: Any) -> Any:
        arguments: dict[str, Any] = {
            "api_key": key or server.key,
            "base_url": server.base_url,
            "timeout": 20,
            **options,
        }
        client: Any
        if request.param == "sync":
            client = openai.OpenAI(http_client=openai.DefaultHttpxClient(**PLAIN), **arguments)
        else:
            transport = TRANSPORTS[request.param](**PLAIN)
            client = openai.AsyncOpenAI(http_client=transport, **arguments)
        made.append(client)
        return client

    yield make
    for client in made:
        await done(client.close())


@pytest.fixture
def client(connect: Connect, server: ServerProcess) -> Any:
    """An official client that checks every answer strictly against its models."""
    return connect(server, _strict_response_validation=True, max_retries=0)


@pytest.fixture
def threads(client: Any) -> Any:
    return client.beta.threads


@pytest.fixture
def messages(client: Any) -> Any:
    return client.beta.threads.messages


@pytest.fixture
def stranger(connect: Connect, server: ServerProcess) -> Any:
    """A client whose key belongs to another organisation."""
    return connect(server, key=server.keys[OTHER_ORG], max_retries=0)
