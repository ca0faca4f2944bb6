"""Connections without sockets: a test says which bytes come in one piece."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from ragen_actor.web.connection import Connection

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
