from __future__ import annotations

import gzip
import hashlib

import pytest
from aiohttp import web
from yarl import URL

from tests.generation.passing import UPSTREAM_KEY, Passing, answering

CHAT = "/v1/chat/completions"


async def test_a_request_reaches_the_upstream_as_it_was_sent(both: Passing) -> None:
    sent = bytes(range(256)) * 40
    url = URL(f"{both.server.base_url}{CHAT}?a=%20%2F&include[]=x&&b", encoded=True)
    headers = {"X-Mine": "one, two", "User-Agent": "me/1", "Content-Type": "a/b"}

    async with both.server.session.post(url, data=sent, headers=headers) as answer:
        assert await answer.read() == sent

    [seen] = both.seen
    assert seen.method == "POST"
    assert seen.raw_path == f"{CHAT}?a=%20%2F&include[]=x&&b"
    assert {name: seen.headers[name] for name in headers} == headers
    assert seen.headers["Content-Length"] == str(len(sent))
    assert seen.headers["Via"] == "1.1 ragen-actor"


async def test_our_key_and_what_belongs_to_this_connection_stay_here(both: Passing) -> None:
    token = both.server.token
    headers = {
        "OpenAI-Organization": "acme",
        "OpenAI-Project": "web",
        "Cookie": "a=b",
        "X-Forwarded-For": "10.0.0.1",
        "Origin": "https://app.example",
        "api-key": token,
        "X-Repeated": f"it is {token}",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "X-Kept": "1",
    }

    async with both.server.session.get("/v1/models", headers=headers) as answer:
        assert answer.status == 200

    seen = both.seen[0].headers
    assert seen["Authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert not [name for name, value in seen.items() if token in value]
    assert set(seen) - {"Accept", "Accept-Encoding", "User-Agent"} == {
        "Host", "Authorization", "Via", "X-Kept",
    }  # fmt: skip


async def test_nothing_is_added_that_the_client_did_not_send(both: Passing) -> None:
    skipped = ("Accept", "Accept-Encoding", "User-Agent")

    async with both.server.session.get("/v1/models", skip_auto_headers=skipped) as answer:
        assert answer.status == 200

    assert set(both.seen[0].headers) == {"Host", "Authorization", "Via"}


async def test_an_answer_comes_back_as_it_was_sent(both: Passing) -> None:
    body = gzip.compress(b"what was answered")
    fields = [
        ("Content-Encoding", "gzip"),
        ("x-request-id", "req_of_theirs"),
        ("openai-processing-ms", "77"),
        ("openai-version", "2099-01-01"),
        ("x-ratelimit-remaining-tokens", "9"),
        ("retry-after", "7"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
    ]
    both.handler = answering(body, status=418, headers=fields)
    session = both.server.session

    async with session.get("/v1/models", auto_decompress=False) as answer:
        assert answer.status == 418
        assert await answer.read() == body
        got = [(name, answer.headers.getall(name)) for name in dict(fields)]

    wanted = [(name, [text for other, text in fields if other == name]) for name in dict(fields)]
    assert got == wanted
    assert "x-ratelimit-limit-requests" not in answer.headers


async def test_what_speaks_about_the_upstreams_own_address_does_not_come_back(
    both: Passing,
) -> None:
    fields = [
        ("Set-Cookie", "a=b"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Access-Control-Allow-Origin", "*"),
        ("Alt-Svc", "h3"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Server", "theirs"),
    ]
    both.handler = answering("{}", headers=fields)

    async with both.server.session.get("/v1/models") as answer:
        got = answer.headers

    assert not {name for name, _ in fields} & set(got) - {"Server"}
    assert got["Server"] == "ragen-actor"
    assert got["x-content-type-options"] == "nosniff"
    assert got["x-request-id"].startswith("req_")
    assert "Date" in got and "openai-version" in got
    assert int(got["openai-processing-ms"]) >= 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("HEAD", "/v1/models/m"),
        ("DELETE", "/v1/files/file-1"),
        ("PUT", "/v1/files/file-1"),
        ("PATCH", "/v1/files/file-1"),
    ],
)
async def test_every_method_is_passed_on(both: Passing, method: str, path: str) -> None:
    both.handler = answering("" if method == "HEAD" else "{}")

    async with both.server.session.request(method, path) as answer:
        assert answer.status == 200

    assert (both.seen[0].method, both.seen[0].raw_path) == (method, path)
    assert "Transfer-Encoding" not in both.seen[0].headers


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_leaves_the_connection_in_order(
    both: Passing, status: int
) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    both.handler = answer

    for _ in range(2):
        async with both.server.session.get("/v1/models") as got:
            assert (got.status, await got.read()) == (status, b"")


async def test_a_body_that_does_not_say_how_long_it_is_arrives_whole(both: Passing) -> None:
    pieces = [bytes([number]) * 70_001 for number in range(30)]

    async def sent() -> object:
        for piece in pieces:
            yield piece

    async with both.server.session.post("/v1/files", data=sent()) as answer:
        got = await answer.read()

    assert hashlib.sha256(got).digest() == hashlib.sha256(b"".join(pieces)).digest()
    assert both.seen[0].headers["Transfer-Encoding"] == "chunked"
