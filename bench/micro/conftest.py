"""A server's inside without its network: storage, registry and door, on a folder of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import datasets
from bench.datasets import Thread
from ragen_actor import open_files, server
from ragen_actor.config import Config
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key
from ragen_actor.settings import Storage as StorageSettings
from ragen_actor.web.call import Api
from ragen_actor.web.gate import Gate
from storage import Storage

ORG = "bench"
THREAD = Thread(1)
MESSAGES = 1000


@dataclass(frozen=True)
class Inside:
    """What a request meets behind the socket."""

    gate: Gate
    token: str
    loop: asyncio.AbstractEventLoop


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    """The door of a server with one thread of 1,000 messages, and a key that is counted."""
    data_dir = tmp_path / "data"
    datasets.make(data_dir)
    datasets.write_organisation(data_dir, ORG, threads=1, files={THREAD.number: MESSAGES})
    token, _ = create_key(data_dir, ORG, "bench", "bench", "", time.time())
    config = Config(
        storage=StorageSettings(data_dir=data_dir),
        tiers={"default": 20, "unlimited": 0, "bench": 1_000_000},
    )
    loop = asyncio.new_event_loop()

    async def opened() -> tuple[Storage, Gate]:
        storage = await Storage.open(open_files.storage_options(config))
        keyring = Keyring(data_dir / KEYS_FILE)
        keyring.load()
        gate = server._gate(config, keyring, config.server.connections_max)
        registry = server._registry(config, storage)
        gate.api = Api(registry, keyring, config.server.messages_per_create_max)
        return storage, gate

    storage, gate = loop.run_until_complete(opened())
    yield Inside(gate, token, loop)

    async def closed() -> None:
        assert gate.api is not None
        await gate.api.registry.close()
        await storage.close()

    loop.run_until_complete(closed())
    loop.close()
