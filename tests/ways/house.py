"""The real server without sockets, and an actor behind its door that tells what it was asked.

The door, the keys and the framework are the real ones. An answer shows what its request was taken
for, so that two answers can be compared; nothing needs a thread, a disk or time.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from ragen_actor import server
from ragen_actor.actors.mailbox import Reply
from ragen_actor.config import Config
from ragen_actor.errors import RagenError
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key
from ragen_actor.settings import Server
from ragen_actor.web.call import Api
from ragen_actor.web.connections import ApiServer
from ragen_actor.web.gate import Gate
from tests.ways.memory_line import Answer, Line, MemoryTransport, turns


@dataclass
class EchoActor:
    """Answers with what it was asked, at once or when the test says so.

    Attributes:
        when: Is given what answers, and calls it now or later.
        asked: All that it was asked.
        raises: Raised instead of an answer.
        fails_with: The answer's exception.
        trouble: None, as for a registry in good health.
    """

    when: Callable[[Callable[[], None]], object] = lambda answer: answer()
    asked: list[str] = field(default_factory=list)
    raises: Exception | None = None
    fails_with: Exception | None = None
    trouble: None = None

    def tell_catalog(self, org: str, command: object, reply: Reply) -> None:
        self._tell(f"{org}: {command}", reply)

    def tell_thread(self, org: str, thread_id: str, command: object, reply: Reply) -> None:
        self._tell(f"{org}/{thread_id}: {command}", reply)

    def _tell(self, asked: str, reply: Reply) -> None:
        if self.raises is not None:
            raise self.raises
        self.asked.append(asked)
        if self.fails_with is not None:
            reply.set_exception(cast(RagenError, self.fails_with))
        else:
            self.when(lambda: reply.set_result(json.dumps({"asked": asked}).encode()))


class CountingGate(Gate):
    """The door, that counts who came the framework's way."""

    by_framework = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.by_framework += 1
        return await super().handle(request)


@dataclass(frozen=True)
class House:
    """A server without sockets.

    Attributes:
        keys: Tokens by the tier of the key.
    """

    gate: CountingGate
    actor: EchoActor
    server: ApiServer
    keys: dict[str, str]

    @property
    def key(self) -> str:
        return self.keys["unlimited"]

    @property
    def bytes_held(self) -> int:
        """Bytes of memory that bodies have now."""
        return self.gate.bodies._held

    async def line(self) -> Line:
        """Connect a client."""
        connection = self.server()
        transport = MemoryTransport(connection)
        connection.connection_made(transport)
        await turns(5)
        return Line(connection, transport)

    async def crowd(self) -> None:
        """Connect so many clients that answers wait for each other."""
        for _ in range(8):
            await self.line()

    async def framework_line(self) -> Line:
        """Connect a client that the framework serves for good, as its first request was unusual."""
        line = await self.line()
        await line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: 1\r\nX: 2\r\n\r\n")
        assert len(line.answers) == 1
        line.transport.sent = b""
        return line

    async def meet(self, *pieces: bytes, by_framework: bool) -> tuple[list[Answer], bool]:
        """Send pieces on a new connection; return its answers and whether it was closed."""
        line = await (self.framework_line() if by_framework else self.line())
        await line.send(*pieces)
        if line.connection.body_since:
            line.connection.give_up()
            await turns()
        met = line.answers, line.closed
        line.connection.force_close()
        await turns(5)
        return met


@dataclass(frozen=True)
class Keys:
    """A file of keys.

    Attributes:
        ring: What reads it.
        tokens: By the tier of the key.
    """

    ring: Keyring
    tokens: dict[str, str]

    @classmethod
    def make(cls, data_dir: Path) -> Keys:
        """Make a key of each tier that tests need."""
        tokens = {
            tier: create_key(data_dir, "acme", "web", tier, "", time.time())[0]
            for tier in ("unlimited", "default")
        }
        ring = Keyring(data_dir / KEYS_FILE)
        ring.load()
        return cls(ring, tokens)


@asynccontextmanager
async def house(keys: Keys, **options: Any) -> AsyncIterator[House]:
    """Open a house; the options are those of the server's section."""
    config = Config(server=Server(**options))
    plain = server._gate(config, keys.ring, config.server.connections_max)
    gate = CountingGate(
        keyring=keys.ring,
        buckets=plain.buckets,
        bodies=plain.bodies,
        generation=plain.generation,
        cors=plain._cors,
        access_log=plain._access_log,
    )
    actor = EchoActor()
    gate.api = Api(cast(Any, actor), keys.ring, config.server.messages_per_create_max)
    api_server = server._api_server(config, gate, config.server.connections_max)
    try:
        yield House(gate, actor, api_server, keys.tokens)
        assert gate.bodies._held == 0, "room for bodies leaked"
    finally:
        api_server.pre_shutdown()
        await api_server.shutdown(0.2)
