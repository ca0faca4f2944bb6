from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from tests.ways.memory_line import House, house

InHome = Callable[[Callable[[House], Coroutine[None, None, None]]], None]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A server without sockets, with the default configuration."""
    async with house(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def in_home(tmp_path: Path) -> Iterator[InHome]:
    """Run coroutine functions on one house, as the examples of a property need."""
    with asyncio.Runner() as runner:
        opening = house(tmp_path / "data")
        opened = runner.run(opening.__aenter__())
        yield lambda meet: runner.run(meet(opened))
        runner.run(opening.__aexit__(None, None, None))
