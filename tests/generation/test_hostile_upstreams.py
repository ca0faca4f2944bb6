from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError

from tests.generation.passing import SECONDS_MAX, Passing

MODELS = "/v1/models"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@asynccontextmanager
async def saying(both: Passing, *answers: bytes) -> AsyncIterator[Callable[[], int]]:
    """Put bytes in the place of an upstream: each is the answer to one request, then it closes.

    Yields what counts the connections that were made.
    """
    left = list(answers)
    made = 0

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        try:
            while left:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(left.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    both.server.upstream._base_url = f"http://127.0.0.1:{port}/v1"
    async with asyncio.timeout(SECONDS_MAX):
        yield lambda: made
        await both.settled()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/9.9 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_a_502(both: Passing, said: bytes) -> None:
    async with saying(both, said), both.server.session.post(MODELS) as answer:
        assert answer.status == 502, await answer.text()
        assert (await answer.json())["error"]["type"] == "server_error"


async def test_a_line_end_in_a_field_cannot_add_one_to_our_head(both: Passing) -> None:
    said = OK + b"X-Bad: a\rX-Injected: 1\r\n\r\n{}"

    async with saying(both, said), both.server.session.post(MODELS) as answer:
        assert answer.status == 502
        assert not {"X-Bad", "X-Injected"} & set(answer.headers)


async def test_a_field_comes_back_byte_for_byte_unless_it_holds_what_cannot_be_seen(
    both: Passing,
) -> None:
    said = OK + b"X-Seen: \xe4\xff\r\nX-Unseen: a\x01b\r\n\r\n{}"

    async with saying(both, said), both.server.session.post(MODELS) as answer:
        fields = dict(answer.raw_headers)
    assert fields[b"X-Seen"] == b"\xe4\xff"
    assert b"X-Unseen" not in fields


async def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one(both: Passing) -> None:
    extra = OK + b"\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    good = OK + b"\r\n[]"

    async with saying(both, extra, good) as connections:
        bodies = []
        for _ in range(2):
            try:
                async with both.server.session.post(MODELS) as answer:
                    bodies.append(await answer.read())
            except ClientError:
                continue
        assert b"poison" not in b"".join(bodies)
        assert bodies[-1] == b"[]"
        assert connections() == 2


async def test_a_preliminary_answer_is_not_the_answer(both: Passing) -> None:
    said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n" + OK + b"\r\n{}"

    async with saying(both, said), both.server.session.post(MODELS) as answer:
        assert (answer.status, await answer.read()) == (200, b"{}")


async def test_an_answer_that_ends_with_its_connection_is_passed_on_whole(both: Passing) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"

    async with saying(both, said), both.server.session.post(MODELS) as answer:
        assert await answer.read() == b"data: 1\n\n"
