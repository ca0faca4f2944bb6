from __future__ import annotations

from itertools import count

from pytest_benchmark.fixture import BenchmarkFixture

from bench.datasets import TEXT, TURN, Thread
from bench.micro.conftest import MESSAGES, THREAD, Inside
from ragen_actor import schema
from ragen_actor.token_bucket import TokenBuckets
from ragen_actor.web import routes
from ragen_actor.web.fast_path import FastPath

PAGE = [Thread(1).message(sequence, TEXT) for sequence in range(20)]
BODY = TURN.encode()
CURSOR = THREAD.message_id(500)


class Wire:
    """The far end of a connection: it keeps the last answer."""

    peer: str | None = "127.0.0.1"

    def __init__(self) -> None:
        self.answer = b""

    def send(self, rendered: bytes, *, keeps_open: bool) -> None:
        self.answer = rendered


def request(inside: Inside, path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {inside.token}\r\n\r\n"
    ).encode()


def answered(benchmark: BenchmarkFixture, inside: Inside, path: str) -> bytes:
    """Time a request from its bytes to those of its answer, its thread being in memory."""
    wire = Wire()
    line = FastPath(inside.gate, wire)
    asked = request(inside, path)

    async def first() -> None:
        line.feed(asked)

    inside.loop.run_until_complete(first())
    while not wire.answer:  # The first one opens the catalogue and the thread.
        inside.loop.run_until_complete(turn())

    def again() -> bytes:
        line.feed(asked)
        return wire.answer

    answer: bytes = benchmark(again)
    assert answer.startswith(b"HTTP/1.1 200 ")
    return answer


async def turn() -> None:
    """Let the event loop do what is due."""


def test_request_parse(benchmark: BenchmarkFixture) -> None:
    assert benchmark(schema.parse_create_message, BODY).role == "user"


def test_list_query_parse(benchmark: BenchmarkFixture) -> None:
    query = f"limit=20&after={CURSOR}"
    assert benchmark(schema.parse_list_query, query, "message").limit == 20


def test_route(benchmark: BenchmarkFixture) -> None:
    found = benchmark(routes.find, "GET", f"{THREAD.path}/messages/{CURSOR}")
    assert found.message_id == CURSOR


def test_bucket(benchmark: BenchmarkFixture) -> None:
    buckets = TokenBuckets({"default": 20, "bench": 1_000_000})
    seconds = count()

    def take() -> bool:
        return buckets.take("a" * 64, "bench", next(seconds) * 1e-3).allowed

    assert benchmark(take)


def test_page_splice(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(schema.render_page, PAGE, True)) > sum(map(len, PAGE))


def test_get_a_thread_through_the_door(benchmark: BenchmarkFixture, inside: Inside) -> None:
    """A thread's own object is one read: what is left is parser, gate and answer."""
    assert THREAD.id.encode() in answered(benchmark, inside, THREAD.path)


def test_get_a_message_through_the_door(benchmark: BenchmarkFixture, inside: Inside) -> None:
    path = f"{THREAD.path}/messages/{CURSOR}"
    assert CURSOR.encode() in answered(benchmark, inside, path)


def test_list_20_through_the_door(benchmark: BenchmarkFixture, inside: Inside) -> None:
    answer = answered(benchmark, inside, f"{THREAD.path}/messages?limit=20")
    assert THREAD.message_id(MESSAGES).encode() in answer
