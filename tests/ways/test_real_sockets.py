"""The ways over real sockets, with real storage and the official client."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
import uvloop

from ragen_actor.web.gate import Gate
from tests.model.serving import serving
from tests.server_process import ServerProcess
from tests.wire.http_call import Wire, request_bytes

SECONDS_MAX = 8.0

# Nothing is read of an answer for a second, and the client is cut off.
IMPATIENT = "[server]\nbody_seconds_max = 1.0\n"


def test_the_official_client_never_needs_the_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_framework: list[str] = []
    handle = Gate.handle

    async def counted(gate: Gate, request: Any) -> Any:
        by_framework.append(request.path)
        return await handle(gate, request)

    monkeypatch.setattr(Gate, "handle", counted)

    async def converse() -> None:
        async with serving(tmp_path / "data") as served:
            key = served.session.headers["Authorization"].removeprefix("Bearer ")
            base_url = f"{served.session._base_url}/v1"
            http_client = openai.DefaultAsyncHttpxClient(verify=False)
            async with openai.AsyncOpenAI(
                api_key=key, base_url=base_url, http_client=http_client
            ) as client:
                threads = client.beta.threads
                thread = (await threads.create(metadata={"a": "b"})).id
                await threads.update(thread, metadata={"c": "d"})
                for text in ("short", "long " * 8000):
                    message = await threads.messages.create(thread, role="user", content=text)
                    await threads.messages.retrieve(message.id, thread_id=thread)
                    await threads.messages.update(message.id, thread_id=thread, metadata={})
                listed = [each.id async for each in threads.messages.list(thread, limit=1)]
                assert len(listed) == 2
                await threads.messages.delete(listed[0], thread_id=thread)
                with pytest.raises(openai.NotFoundError):
                    await threads.retrieve("thread-x")
                await threads.retrieve(thread)
                await threads.delete(thread)

    uvloop.run(converse())
    assert by_framework == []


def test_a_client_that_never_reads_is_read_no_longer_and_then_cut_off(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(config=IMPATIENT)
    asked = request_bytes("GET", "/v1/threads", server.key)
    with Wire(server) as wire:
        wire.socket.setblocking(False)
        deadline = time.monotonic() + SECONDS_MAX
        rest, was_full = asked, False
        try:
            while time.monotonic() < deadline:
                _, writable, _ = select.select([], [wire.socket], [], 0.2)
                was_full = was_full or not writable
                if writable:
                    rest = rest[wire.socket.send(rest) :] or asked
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            pytest.fail("it is still connected")
        assert was_full
    with Wire(server) as wire:
        wire.send(asked)
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 200


def test_a_request_in_the_socket_when_a_server_is_told_to_stop_is_answered_or_not_done(
    own_server: ServerProcess,
) -> None:
    """A client that hears nothing may not find half of what it asked for later."""
    wires = [Wire(own_server) for _ in range(20)]
    for number, wire in enumerate(wires):
        body = b'{"title":"%d"}' % number
        wire.send(request_bytes("POST", "/v1/threads", own_server.key, body))
    assert own_server.terminate() == 0
    answers = [wire.answer() for wire in wires]
    for wire in wires:
        wire.__exit__()
    made = {answer.json["id"] for answer in answers if answer and answer.status == 200}
    assert {answer.status for answer in answers if answer} <= {200, 503}
    own_server.restart()
    with Wire(own_server) as wire:
        wire.send(request_bytes("GET", "/v1/threads?limit=100", own_server.key))
        listed = wire.answer()
    assert listed is not None
    assert made <= {thread["id"] for thread in listed.json["data"]}


def test_a_client_that_has_closed_its_half_leaves_nothing_behind(own_server: ServerProcess) -> None:
    asked = request_bytes("POST", "/v1/threads", own_server.key, b'{"title":"half"}')
    for end in (len(asked), len(asked) - 1, len(asked) - 20):
        with Wire(own_server) as wire:
            wire.send(asked[:end])
            wire.socket.shutdown(socket.SHUT_WR)
            wire.rest()
    with Wire(own_server) as wire:
        wire.send(request_bytes("GET", "/v1/threads", own_server.key))
        listed = wire.answer()
    assert listed is not None
    assert len(listed.json["data"]) <= 1
    assert "WARNING" not in own_server.log
    assert "ERROR" not in own_server.log
