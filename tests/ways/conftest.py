from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest

from tests.ways.house import House, Keys, house

InHome = Callable[[Callable[[House], Coroutine[None, None, None]]], None]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def home(keys: Keys) -> AsyncIterator[House]:
    """A server without sockets, with the default configuration, and clients that are silent.

    It has enough of them to write its answers at the end of each turn.
    """
    async with house(keys) as opened:
        await opened.crowd()
        yield opened


@pytest.fixture
def in_home(keys: Keys) -> Iterator[InHome]:
    """Run coroutine functions on one house, as the examples of a property need."""
    with asyncio.Runner() as runner:
        opening = house(keys)
        opened = runner.run(opening.__aenter__())
        runner.run(opened.crowd())
        yield lambda meet: runner.run(meet(opened))
        runner.run(opening.__aexit__(None, None, None))
