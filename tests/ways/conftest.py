from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.ways.memory_line import House, house

InHome = Callable[[Callable[[House], Awaitable[None]]], None]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A server without sockets, with the default configuration."""
    async with house(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def in_home(tmp_path: Path) -> InHome:
    """Run a coroutine function on a house of its own, as a property's examples need."""

    def run(meet: Callable[[House], Awaitable[None]]) -> None:
        async def visit() -> None:
            async with house(tmp_path / "data") as opened:
                await meet(opened)

        asyncio.run(visit())

    return run
