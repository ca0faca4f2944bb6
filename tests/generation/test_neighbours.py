from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.generation.passing import KEY_VARIABLE, SECONDS_MAX, UPSTREAM_KEY, Passing, events
from tests.server_process import ServerProcess

CHAT = "/v1/chat/completions"
STREAMS = 200
PIECE = b"data: " + b"x" * 65_528 + b"\n\n"
MIB = 1 << 20


async def test_threads_are_served_while_the_upstream_hangs(both: Passing) -> None:
    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    both.handler = hang
    hanging = [asyncio.create_task(both.server.answer("POST", CHAT, {})) for _ in range(50)]
    while len(both.seen) < len(hanging):
        await asyncio.sleep(0.001)

    thread = await both.server.call("POST", "/v1/threads", {})
    turn = {"role": "user", "content": "Hi"}
    await both.server.call("POST", f"/v1/threads/{thread['id']}/messages", turn)

    for each in hanging:
        each.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_client_that_reads_nothing_is_cut_off_and_so_is_its_upstream(
    tight: Passing,
) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        while True:
            await response.write(PIECE)

    tight.handler = endless
    host, port = tight.server.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    key = f"Authorization: Bearer {tight.server.token}"
    writer.write(f"GET {CHAT} HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode())

    async with asyncio.timeout(SECONDS_MAX):
        await tight.left.wait()
        await tight.settled()
    writer.transport.abort()


async def test_two_hundred_streams_that_nobody_reads_take_half_a_mebibyte_each_or_so(
    tmp_path: Path, both: Passing
) -> None:
    """Their upstream would go on for ever: it has to wait, and so bounds what is in memory."""
    written = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal written
        response = await events(request)
        assert request.transport is not None
        sending = request.transport.get_extra_info("socket")
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        while True:
            await response.write(PIECE)
            written += len(PIECE)

    both.handler = endless
    config = f'base_url = "{both.server.upstream._base_url}"\napi_key_env = "{KEY_VARIABLE}"\n'
    server = ServerProcess(
        tmp_path / "own" / "data",
        config=f"[upstream]\n{config}",
        environ={KEY_VARIABLE: UPSTREAM_KEY},
    )
    await asyncio.to_thread(server.start)
    try:
        before = resident(server.pid)
        clients = [await unread_stream(server) for _ in range(STREAMS)]
        async with asyncio.timeout(60):
            seen = -MIB
            while written - seen >= MIB:
                seen = written
                await asyncio.sleep(0.3)
        assert len(both.seen) == STREAMS
        assert resident(server.pid) - before < STREAMS * MIB * 3 // 4
        for writer in clients:
            writer.transport.abort()
    finally:
        await asyncio.to_thread(server.close)


async def test_two_hundred_streams_at_once_are_all_whole(both: Passing) -> None:
    everybody = asyncio.Event()

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        if len(both.seen) == STREAMS:
            everybody.set()
        await everybody.wait()
        for number in range(50):
            await response.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    async def ask() -> bytes:
        async with session.post(f"{both.server.base_url}{CHAT}", headers=key) as answer:
            return await answer.read()

    both.handler = stream
    key = {"Authorization": f"Bearer {both.server.token}"}
    whole = b"".join(b"data: %d\n\n" % number for number in range(50))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        answers = await asyncio.gather(*[ask() for _ in range(STREAMS)])

    assert set(answers) == {whole}


async def unread_stream(server: ServerProcess) -> asyncio.StreamWriter:
    """Ask for a stream over a connection that takes little before it is read."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    opened.connect(("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=opened, limit=65536)
    key = f"Authorization: Bearer {server.key}"
    writer.write(f"GET {CHAT} HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return writer


def resident(pid: int) -> int:
    """Bytes that a process has resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
