from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web

from tests.generation.passing import UPSTREAM_KEY, Passing, answering, cut, events
from tests.model.serving import serving

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"


async def refusal(answer: ClientResponse) -> tuple[int, str, str | None]:
    """Read an error in OpenAI's shape: status, message and type."""
    whole = await answer.json()
    assert list(whole) == ["error"]
    assert list(whole["error"]) == ["message", "type", "param", "code"]
    assert answer.headers["x-request-id"].startswith("req_")
    return answer.status, whole["error"]["message"], whole["error"]["type"]


async def test_without_an_upstream_the_answer_names_the_setting(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "data") as server,
        server.session.post(CHAT, json={}) as answer,
    ):
        status, message, kind = await refusal(answer)
        assert (status, kind) == (501, "server_error")
        assert "base_url under [upstream]" in message
        assert answer.headers["x-should-retry"] == "false"


async def test_a_stranger_reaches_no_upstream(both: Passing) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer sk-wrong"}):
        async with both.server.session.post(CHAT, headers=headers) as answer:
            assert (await refusal(answer))[0] == 401
    async with both.server.session.get(MODELS, headers={"OpenAI-Project": "foreign"}) as answer:
        assert (await refusal(answer))[0] == 401
    assert both.seen == []


@pytest.mark.parametrize(
    "path", ["/v1/assistants", "/v1/threads/runs", "/v1/realtime", "/v2/models"]
)
async def test_what_is_not_allowed_is_unknown(both: Passing, path: str) -> None:
    async with both.server.session.get(path) as answer:
        assert (await refusal(answer))[0] == 404
    assert both.seen == []


async def test_a_method_that_no_resource_has_is_refused(both: Passing) -> None:
    async with both.server.session.options(MODELS) as answer:
        assert (await refusal(answer))[0] == 405
        assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert both.seen == []


async def test_a_web_socket_is_refused_in_words(both: Passing) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    async with both.server.session.get("/v1/responses", headers=headers) as answer:
        status, message, _ = await refusal(answer)
        assert status == 400
        assert "WebSocket" in message
    assert both.seen == []


async def test_an_upstream_that_is_gone_is_a_502(
    tight: Passing, caplog: pytest.LogCaptureFixture
) -> None:
    tight.server.upstream._base_url = "http://127.0.0.1:1/v1"
    async with tight.server.session.post(CHAT, json={}) as answer:
        assert await refusal(answer) == (502, "The upstream could not be reached.", "server_error")
        assert "127.0.0.1" not in await answer.text()
        assert answer.headers["x-request-id"] in caplog.text
    assert "ClientConnectorError" in caplog.text


async def test_an_upstream_that_is_silent_is_a_504(tight: Passing) -> None:
    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    tight.handler = silent

    async with tight.server.session.post(CHAT, json={}) as answer:
        wanted = (504, "The upstream was silent for 0.5 seconds.", "server_error")
        assert await refusal(answer) == wanted
    await tight.left.wait()


async def test_an_upstream_that_takes_no_more_of_an_upload_is_a_504(tight: Passing) -> None:
    async def deaf(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def sent() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    tight.handler = deaf
    tight.server.gate.generation._bytes_max = 1 << 40

    async with tight.server.session.post("/v1/files", data=sent()) as answer:
        assert (await refusal(answer))[0] == 504
    await tight.settled()


async def test_an_upstream_that_falls_silent_in_a_stream_ends_it_with_an_error(
    tight: Passing,
) -> None:
    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(b"data: 1\n\n")
        await asyncio.Event().wait()
        return response

    tight.handler = silent

    async with tight.server.session.post(CHAT, json={}) as answer:
        body = await answer.content.read()
    assert body.startswith(b'data: 1\n\ndata: {"error":{"message":"The upstream was silent')
    assert body.endswith(b"}}\n\n")


async def test_an_upstream_that_closes_without_an_answer_is_a_502(both: Passing) -> None:
    async def close(request: web.BaseRequest) -> web.StreamResponse:
        cut(request)
        return web.Response()

    both.handler = close

    for method in ("GET", "POST"):
        async with both.server.session.request(method, MODELS) as answer:
            assert (await refusal(answer))[0] == 502


async def test_an_answer_that_is_cut_before_its_first_byte_is_a_502(both: Passing) -> None:
    async def head_only(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        cut(request)
        return response

    both.handler = head_only

    async with both.server.session.get(MODELS) as answer:
        assert (await refusal(answer))[0] == 502


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_neither_followed_nor_passed_on(both: Passing, status: int) -> None:
    both.handler = answering("", status=status, headers=[("Location", "http://127.0.0.1:1/")])

    async with both.server.session.get(MODELS, allow_redirects=False) as answer:
        status, message, _ = await refusal(answer)
        assert status == 502
        assert "redirect" in message
        assert "Location" not in answer.headers


async def test_a_refused_upstream_key_is_not_told_as_if_it_were_the_clients(
    both: Passing,
) -> None:
    body = f'{{"error":{{"message":"Incorrect API key provided: {UPSTREAM_KEY}."}}}}'
    both.handler = answering(body, status=401, headers=[("WWW-Authenticate", "Bearer")])

    async with both.server.session.get(MODELS) as answer:
        status, message, _ = await refusal(answer)
        assert status == 502
        assert "operator" in message
        assert UPSTREAM_KEY not in await answer.text()


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500, 503])
async def test_the_upstreams_errors_come_through_without_its_key(
    both: Passing, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = b'{"error":{"message":"you are %b, %b"}}' % ((UPSTREAM_KEY.encode(),) * 2)
    fields = [("retry-after", "3"), ("X-Echo", f"Bearer {UPSTREAM_KEY}")]

    async def in_pieces(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=dict(fields))
        await response.prepare(request)
        for at in range(0, len(body), 7):
            await response.write(body[at : at + 7])
            await asyncio.sleep(0)
        return response

    both.handler = in_pieces

    async with both.server.session.get(MODELS) as answer:
        stars = b"*" * len(UPSTREAM_KEY)
        assert await answer.read() == body.replace(UPSTREAM_KEY.encode(), stars)
        assert answer.status == status
        assert answer.headers["retry-after"] == "3"
        assert UPSTREAM_KEY not in str(answer.headers)
    assert UPSTREAM_KEY not in caplog.text


async def test_a_body_above_the_bound_is_a_413(tight: Passing) -> None:
    async def sent() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield bytes(65536)

    for data in (io.BytesIO(bytes(1 << 21)), sent()):
        async with tight.server.session.post("/v1/files", data=data) as answer:
            assert (await refusal(answer))[0] == 413


async def test_a_client_that_stops_in_its_body_is_a_408(tight: Passing) -> None:
    async def sent() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    async with tight.server.session.post("/v1/files", data=sent()) as answer:
        assert (await refusal(answer))[0] == 408
    await tight.settled()


async def test_too_many_at_once_are_told_to_come_back(tight: Passing) -> None:
    async def wait(request: web.BaseRequest) -> web.StreamResponse:
        await go_on.wait()
        return web.Response(text="{}")

    go_on = asyncio.Event()
    tight.handler = wait
    session = tight.server.session

    first = [asyncio.create_task(tight.server.answer("GET", MODELS)) for _ in range(2)]
    while len(tight.seen) < 2:
        await asyncio.sleep(0)
    async with session.get(MODELS) as answer:
        assert (await refusal(answer))[0] == 503
        assert int(answer.headers["retry-after"]) >= 1
    assert (await tight.server.answer("GET", "/v1/threads")).status == 200
    go_on.set()
    assert [(await each).status for each in first] == [200, 200]
    assert (await tight.server.answer("GET", MODELS)).status == 200
