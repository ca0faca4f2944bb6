from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import openai
import pytest

from tests.server_process import ServerProcess
from tests.upstream.model_server import llama_cpp, llmock

KEY_VARIABLE, UPSTREAM_KEY = "UPSTREAM_KEY_OF_A_TEST", "sk-upstream-0123456789"


@pytest.fixture(scope="session")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's own server; its base URL."""
    with llama_cpp(tmp_path_factory.mktemp("llama")) as url:
        yield url


@pytest.fixture(scope="session")
def model_server(
    model_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server of ours whose upstream is llama.cpp's."""
    server = started(tmp_path_factory.mktemp("ours"), model_url)
    yield server
    server.close()


@pytest.fixture
def through(model_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The official client, which asks us."""
    with openai.OpenAI(base_url=model_server.base_url, api_key=model_server.key) as client:
        yield client


@pytest.fixture
def direct(model_url: str) -> Iterator[openai.OpenAI]:
    """The official client, which asks the upstream itself."""
    with openai.OpenAI(base_url=model_url, api_key="none") as client:
        yield client


@pytest.fixture
def through_llmock(tmp_path: Path) -> Iterator[Callable[..., openai.OpenAI]]:
    """Start llmock with options, and a server of ours before it; the official client asks that."""
    with ExitStack() as stack:

        def start(*options: str) -> openai.OpenAI:
            server = started(tmp_path, stack.enter_context(llmock(tmp_path, *options)))
            stack.callback(server.close)
            client = openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)
            return stack.enter_context(client)

        yield start


def started(folder: Path, base_url: str) -> ServerProcess:
    config = f'[upstream]\nbase_url = "{base_url}"\napi_key_env = "{KEY_VARIABLE}"\n'
    server = ServerProcess(folder / "data", config=config, environ={KEY_VARIABLE: UPSTREAM_KEY})
    server.start()
    return server
