"""Connections of the real server without sockets: a test says which bytes come in one piece.

The door, the keys and the framework are the real ones. Behind the door stands an actor that tells
what it was asked, so that an answer shows what its request was taken for.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from ragen_actor import server
from ragen_actor.config import Config
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key
from ragen_actor.settings import Server
from ragen_actor.web.answer import Answer as Rendered
from ragen_actor.web.call import Api
from ragen_actor.web.connection import Connection
from ragen_actor.web.connections import ApiServer
from ragen_actor.web.gate import Gate

TURNS = 40
"""Of the event loop: then all has happened that waits for no byte and no timer."""

_TOLD = re.compile(
    rb"^(date|x-request-id|openai-processing-ms|x-ratelimit-[a-z-]+|retry-after(-ms)?): [^\r]*",
    re.I | re.M,
)


async def turns(count: int = TURNS) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Answer:
    """An answer as it was written; `head` is without what differs each time."""

    status: int
    head: bytes
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def asked(self) -> str:
        """What the actor was asked."""
        asked = self.json["asked"]
        assert isinstance(asked, str)
        return asked


def answers_in(sent: bytes) -> list[Answer]:
    """Take apart all that was written; a body begins with a brace, unless a HEAD forbids it."""
    found: list[Answer] = []
    while sent:
        head, end, sent = sent.partition(b"\r\n\r\n")
        assert end, head
        if head.startswith(b"HTTP/1.1 100 "):
            continue
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        size = int(length[1]) if length and sent.startswith(b"{") else 0
        assert len(sent) >= size
        body, sent = re.sub(rb"req_[0-9a-f]{32}", b"req_", sent[:size]), sent[size:]
        found.append(Answer(int(head[9:12]), _TOLD.sub(rb"\1", head), body))
    return found


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

    def ask_catalog(self, org: str, command: object) -> asyncio.Future[bytes]:
        return self._ask(f"{org}: {command}")

    def ask_thread(self, org: str, thread_id: str, command: object) -> asyncio.Future[bytes]:
        return self._ask(f"{org}/{thread_id}: {command}")

    def _ask(self, asked: str) -> asyncio.Future[bytes]:
        if self.raises is not None:
            raise self.raises
        self.asked.append(asked)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self.fails_with is not None:
            reply.set_exception(self.fails_with)
            return reply
        self.when(lambda: reply.set_result(json.dumps({"asked": asked}).encode()))
        return reply


class CountingGate(Gate):
    """The door, that counts who came the framework's way."""

    by_framework = 0

    async def handle(self, request: web.BaseRequest) -> Rendered:
        self.by_framework += 1
        return await super().handle(request)


class MemoryTransport(asyncio.Transport):
    """Keeps what is written, and may be full."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self._protocol = protocol
        self.sent = b""
        self.is_reading_paused = False
        self.closed = False
        self.unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


@dataclass(frozen=True)
class Line:
    """One connection, from the client's side."""

    connection: Connection
    transport: MemoryTransport

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each after the one before was taken and all was done that it allows."""
        for piece in pieces:
            for _ in range(TURNS * len(pieces)):
                if not self.transport.is_reading_paused:
                    break
                await asyncio.sleep(0)
            if self.transport.closed:
                break
            assert not self.transport.is_reading_paused, "it never reads again"
            self.connection.data_received(piece)
            await asyncio.sleep(0)
        await turns()

    @property
    def answers(self) -> list[Answer]:
        return answers_in(self.transport.sent)

    @property
    def closed(self) -> bool:
        return self.transport.closed


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


@asynccontextmanager
async def house(data_dir: Path, **options: Any) -> AsyncIterator[House]:
    """Open a house; the options are those of the server's section."""
    data_dir.mkdir(exist_ok=True)
    keys = {
        tier: create_key(data_dir, "acme", "web", tier, "", time.time())[0]
        for tier in ("unlimited", "default")
    }
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    config = Config(server=Server(**options))
    plain = server._gate(config, keyring)
    gate = CountingGate(
        keyring=keyring,
        buckets=plain._buckets,
        bodies=plain.bodies,
        cors=plain._cors,
        access_log=plain._access_log,
    )
    actor = EchoActor()
    gate.api = Api(cast(Any, actor), keyring, config.server.messages_per_create_max)
    api_server = server._api_server(config, gate, config.server.connections_max)
    yield House(gate, actor, api_server, keys)
    assert gate.bodies._held == 0, "room for bodies leaked"
    api_server.pre_shutdown()
    await api_server.shutdown(0.2)
