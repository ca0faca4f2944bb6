from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest
from aiohttp import web

from tests.generation.passing import SECONDS_MAX, Passing, cut, events

CHAT = "/v1/chat/completions"


def client(both: Passing) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{both.server.base_url}/v1", api_key=both.server.token, max_retries=0
    )


def chunk(text: str) -> bytes:
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()
    )


async def test_each_event_arrives_before_the_next_one_is_made(both: Passing) -> None:
    read = [asyncio.Event() for _ in range(3)]

    async def one_by_one(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        for number, event in enumerate(read):
            await response.write(b"data: %d\n\n" % number)
            await event.wait()
        await response.write_eof()
        return response

    both.handler = one_by_one

    async with asyncio.timeout(SECONDS_MAX), both.server.session.post(CHAT) as answer:
        for number, event in enumerate(read):
            assert await answer.content.readany() == b"data: %d\n\n" % number
            event.set()
        assert await answer.content.readany() == b""


async def test_a_body_goes_on_before_it_has_ended(both: Passing) -> None:
    arrived = asyncio.Event()

    async def listen(request: web.BaseRequest) -> web.StreamResponse:
        await request.content.readany()
        arrived.set()
        rest = await request.content.read()
        return web.Response(text=str(len(rest)))

    async def sent() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"last"

    both.handler = listen

    async with asyncio.timeout(SECONDS_MAX):
        async with both.server.session.post("/v1/files", data=sent()) as answer:
            assert await answer.text() == "4"


async def test_an_answer_may_come_before_the_body_has_ended(both: Passing) -> None:
    answered = asyncio.Event()

    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=413, text="enough")

    async def sent() -> AsyncIterator[bytes]:
        yield b"first"
        await answered.wait()

    both.handler = refuse

    async with asyncio.timeout(SECONDS_MAX):
        async with both.server.session.post("/v1/files", data=sent()) as answer:
            assert (answer.status, await answer.text()) == (413, "enough")
        answered.set()
        await both.settled()


async def test_the_upstreams_request_ends_when_the_client_leaves_a_stream(both: Passing) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(chunk("first"))
        await asyncio.Event().wait()
        raise AssertionError

    both.handler = endless

    stream = await client(both).chat.completions.create(model="m", messages=[], stream=True)
    async for _ in stream:
        break
    await stream.close()

    async with asyncio.timeout(SECONDS_MAX):
        await both.left.wait()
        await both.settled()


async def test_the_upstreams_request_ends_when_the_client_leaves_before_an_answer(
    both: Passing,
) -> None:
    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    arrived = asyncio.Event()
    both.handler = silent

    asking = asyncio.create_task(client(both).models.list()._get_page())
    async with asyncio.timeout(SECONDS_MAX):
        await arrived.wait()
        asking.cancel()
        await both.left.wait()
        await both.settled()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_upstreams_request_ends_when_the_client_leaves_an_upload(both: Passing) -> None:
    arrived = asyncio.Event()

    async def listen(request: web.BaseRequest) -> web.StreamResponse:
        await request.content.readany()
        arrived.set()
        await request.content.read()
        raise AssertionError

    async def sent() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    both.handler = listen

    async def upload() -> None:
        async with both.server.session.post("/v1/files", data=sent()):
            raise AssertionError

    uploading = asyncio.create_task(upload())
    async with asyncio.timeout(SECONDS_MAX):
        await arrived.wait()
        uploading.cancel()
        await both.left.wait()
        await both.settled()


async def test_a_stream_cut_between_events_ends_with_an_error_that_the_client_raises(
    both: Passing,
) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(chunk("first"))
        cut(request)
        return response

    both.handler = broken
    texts = []

    with pytest.raises(openai.APIError, match=r"The upstream cut its answer short\."):
        stream = await client(both).chat.completions.create(model="m", messages=[], stream=True)
        async for part in stream:
            texts.append(part.choices[0].delta.content)

    assert texts == ["first"]
    async with both.server.session.post(CHAT) as answer:
        assert (await answer.content.read()).endswith(
            b'\n\ndata: {"error":{"message":"The upstream cut its answer short.",'
            b'"type":"server_error","param":null,"code":null}}\n\n'
        )


async def test_a_stream_cut_behind_its_last_event_has_ended_well(both: Passing) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(chunk("first") + b"data: [DONE]\n\n")
        cut(request)
        return response

    both.handler = broken

    async with both.server.session.post(CHAT) as answer:
        assert await answer.content.read() == chunk("first") + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'data: {"id":"c', {"Content-Type": "text/event-stream"}),
        (b"data: 1\n\n", {"Content-Type": "text/event-stream", "Content-Encoding": "br"}),
        (b"data: 1\n\n", {"Content-Type": "text/event-stream", "Content-Length": "99"}),
        (b'{"object":', {"Content-Type": "application/json"}),
        (b'{"object":', {"Content-Type": "application/json", "Content-Length": "99"}),
    ],
)
async def test_any_other_answer_that_is_cut_is_seen_to_be_incomplete(
    both: Passing, body: bytes, headers: dict[str, str]
) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(body)
        await passed.wait()
        cut(request)
        return response

    passed = asyncio.Event()
    both.handler = broken

    async with asyncio.timeout(SECONDS_MAX):
        async with both.server.session.get("/v1/models", auto_decompress=False) as answer:
            assert await answer.content.readexactly(len(body)) == body
            passed.set()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.readexactly(1)


async def test_a_stopping_server_lets_a_stream_end_in_time(both: Passing) -> None:
    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(chunk("first"))
        await stopping.wait()
        await response.write(chunk("last") + b"data: [DONE]\n\n")
        return response

    stopping = asyncio.Event()
    both.handler = slow

    async with asyncio.timeout(SECONDS_MAX), both.server.session.post(CHAT) as answer:
        assert await answer.content.readany() == chunk("first")
        end = asyncio.create_task(both.server.upstream.stop(SECONDS_MAX))
        await asyncio.sleep(0)
        stopping.set()
        assert await answer.content.read() == chunk("last") + b"data: [DONE]\n\n"
        await end


async def test_a_stopping_server_ends_a_stream_with_an_error_when_the_time_is_up(
    both: Passing,
) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(chunk("first"))
        await asyncio.Event().wait()
        return response

    both.handler = endless

    async with asyncio.timeout(SECONDS_MAX), both.server.session.post(CHAT) as answer:
        assert await answer.content.readany() == chunk("first")
        await both.server.upstream.stop(0.0)
        assert b'data: {"error":{"message":"The server is shutting down.' in (
            await answer.content.read()
        )
