from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragen_actor.config import Config, Server, Upstream
from tests.generation.passing import Passing, passing

# Short waits, so that a test of them is soon over.
TIGHT = Config(
    server=Server(body_seconds_max=0.5),
    upstream=Upstream(
        silent_seconds_max=0.5,
        connect_seconds_max=0.5,
        connections_max=2,
        body_bytes_max=1 << 20,
        paths=("chat/completions", "models", "files"),
    ),
    tiers={"default": 2, "unlimited": 0},
    generation_tiers={"default": 3, "unlimited": 0},
)


@pytest.fixture
async def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Passing]:
    """A server with the default settings, and its upstream."""
    async with passing(tmp_path / "data", Config(), monkeypatch) as found:
        yield found


@pytest.fixture
async def tight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Passing]:
    """A server that waits for nothing long, and its upstream."""
    async with passing(tmp_path / "data", TIGHT, monkeypatch) as found:
        yield found
