"""The HTTP server in the test's own process, on a real port and real files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from ragen_actor import open_files, server
from ragen_actor.config import Config
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key
from ragen_actor.settings import Storage as StorageSettings
from ragen_actor.upstream import Upstream
from ragen_actor.web.call import Api
from ragen_actor.web.gate import Gate
from storage import Storage

CONNECTIONS = 64
DEFAULTS = Config()


@dataclass(frozen=True)
class Serving:
    """What a test may look at and do."""

    storage: Storage
    gate: Gate
    session: aiohttp.ClientSession
    base_url: str
    token: str

    @property
    def upstream(self) -> Upstream:
        """Where generation is passed on to."""
        return self.gate.generation.upstream

    async def answer(
        self, method: str, path: str, payload: object = None
    ) -> aiohttp.ClientResponse:
        """Send a request; return its answer, read to the end."""
        async with self.session.request(method, path, json=payload) as answer:
            await answer.read()
            return answer

    async def call(self, method: str, path: str, payload: object = None) -> Any:
        """Send a request that must succeed; return its JSON."""
        answer = await self.answer(method, path, payload)
        assert answer.status == 200, await answer.text()
        return await answer.json()


@asynccontextmanager
async def serving(data_dir: Path, config: Config = DEFAULTS) -> AsyncIterator[Serving]:
    """Serve a data directory with the default settings or others, and end it well."""
    config = msgspec.structs.replace(config, storage=StorageSettings(data_dir=data_dir))
    storage = await Storage.open(open_files.storage_options(config))
    token, _ = create_key(data_dir, "acme", "web", "unlimited", "", time.time())
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    gate = server._gate(config, keyring, config.server.connections_max)
    registry = server._registry(config, storage)
    gate.api = Api(registry, keyring, config.server.messages_per_create_max)
    runner = web.ServerRunner(
        server._api_server(config, gate, config.server.connections_max), handle_signals=False
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(
            base_url,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            headers={"Authorization": f"Bearer {token}"},
        ) as session:
            yield Serving(storage, gate, session, base_url, token)
    finally:
        await gate.generation.upstream.stop(0.0)
        await registry.close()
        await runner.cleanup()
        await storage.close()
