from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.server_process import ServerProcess
from tests.wire.http_call import Answer, Api, Wire, assert_error_shape, request_bytes

# Ample beside the 1 s that the server with short bounds grants, so that a busy machine passes.
CLOSED_SECONDS_MAX = 8.0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / \r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: nameless\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nX y: z\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)) + b"\r\n\r\n",
        b"\xff" * 100 + b"\r\n\r\n",
        b"{}\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_400_in_openais_shape(tight: Api, garbage: bytes) -> None:
    with Wire(tight.server) as wire:
        wire.send(garbage)
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 400
        assert_error_shape(answer)
        assert "\n" not in answer.error["message"]
        assert wire.closes()


@pytest.mark.parametrize(
    "head",
    [
        "X-Huge: " + "h" * 100_000,
        "\r\n".join(f"X-Many-{number}: v" for number in range(20_000)),
        "x" * 100_000 + ": v",
        "Cookie: " + "c=1; " * 20_000,
        "OpenAI-Organization: " + "o" * 20_000,
    ],
    ids=["one value", "many headers", "one name", "cookie", "organisation"],
)
def test_a_huge_head_gets_a_4xx_in_openais_shape(tight: Api, head: str) -> None:
    with Wire(tight.server) as wire:
        wire.send(request_bytes("GET", "/v1/threads", tight.key, b"", head))
        answer = wire.answer()
    assert answer is not None
    assert 400 <= answer.status < 500
    assert_error_shape(answer)


@pytest.mark.parametrize("start", [b"", b"G", b"GET /v1/thr", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_head_that_never_ends_is_cut_off(tight: Api, start: bytes) -> None:
    with Wire(tight.server) as wire:
        wire.socket.settimeout(CLOSED_SECONDS_MAX)
        wire.send(start)
        assert wire.closes()


def test_a_head_that_trickles_in_is_cut_off_too(tight: Api) -> None:
    """A byte each 100 ms keeps a timer of silence from ever running out."""
    with Wire(tight.server) as wire:
        wire.send(b"GET /v1/threads HTTP/1.1\r\nX: ")
        deadline = time.monotonic() + CLOSED_SECONDS_MAX
        while not select.select([wire.socket], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, "it is still listened to"
            wire.send(b"x")
        assert wire.closes()


def test_a_body_that_trickles_in_is_cut_off_too(tight: Api) -> None:
    with Wire(tight.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", tight.key, b"{", length=60_000))
        deadline = time.monotonic() + CLOSED_SECONDS_MAX
        while not select.select([wire.socket], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, "it is still listened to"
            wire.send(b" ")
        answer = wire.answer()
        if answer is not None:
            assert 400 <= answer.status < 500
            assert_error_shape(answer)


def test_an_idle_connection_is_closed(tight: Api) -> None:
    with Wire(tight.server) as wire:
        wire.socket.settimeout(CLOSED_SECONDS_MAX)
        wire.send(request_bytes("GET", "/v1/threads", tight.key))
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 200
        assert wire.closes()


def test_a_client_that_only_listens_any_more_still_gets_its_answer(api: Api) -> None:
    with Wire(api.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", api.key, b'{"title":"half open"}'))
        wire.socket.shutdown(socket.SHUT_WR)
        answer = wire.answer()
        assert wire.closes()
    if answer is not None:
        assert answer.status == 200
        assert api.ok("GET", f"/v1/threads/{answer.json['id']}") == answer.json


@pytest.mark.parametrize("sent", [b"", b"GET /v1/thr", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_stops_in_the_middle_is_let_go(tight: Api, sent: bytes) -> None:
    with Wire(tight.server) as wire:
        wire.socket.settimeout(CLOSED_SECONDS_MAX)
        wire.send(sent)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.closes()


def test_a_client_that_stops_within_its_body_writes_nothing(tight: Api) -> None:
    with Wire(tight.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", tight.key, b"{}", length=10))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.closes()


def test_clients_that_reset_their_connections_do_no_harm(tight: Api) -> None:
    reset_on_close = struct.pack("ii", 1, 0)
    for length in range(0, 120, 5):
        with Wire(tight.server) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
            wire.send(request_bytes("GET", "/v1/threads", tight.key)[:length])


def test_pipelined_requests_are_answered_in_their_order(api: Api) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}/messages"
    bodies = [b'{"role":"user","content":"%d"}' % place for place in range(20)]
    with Wire(api.server) as wire:
        wire.send(b"".join(request_bytes("POST", path, api.key, body) for body in bodies))
        answers = [wire.answer() for _ in bodies]
    texts = [answer.json["content"][0]["text"]["value"] for answer in answers if answer]
    assert texts == [str(place) for place in range(20)]
    listed = api.page(path, "order=asc")["data"]
    assert listed == [answer.json for answer in answers if answer]


def test_a_refusal_in_a_pipeline_leaves_its_neighbours_alone(api: Api) -> None:
    with Wire(api.server) as wire:
        wire.send(
            request_bytes("POST", "/v1/threads", api.key, b'{"title":"a"}')
            + request_bytes("POST", "/v1/threads", api.key, b"{{{")
            + request_bytes("POST", "/v1/threads", api.key, b'{"title":"b"}')
        )
        answers = [wire.answer() for _ in range(3)]
    assert [answer.status for answer in answers if answer] == [200, 400, 200]


def test_what_follows_an_unread_body_is_never_taken_for_a_request(tight: Api) -> None:
    """A 401 is given before the body; its bytes must not be parsed as the next request."""
    smuggled = request_bytes("DELETE", "/v1/threads/thread-x", tight.key)
    with Wire(tight.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", "not-a-recognized", smuggled))
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 401
        wire.send(request_bytes("GET", "/v1/nowhere", tight.key))
        following = wire.answer()
    assert following is None or following.error["message"] == "Invalid URL (GET /v1/nowhere)"


def test_an_offer_to_upgrade_is_declined_by_an_ordinary_answer(api: Api) -> None:
    """Java's own client offers h2c with its first request on every plain connection."""
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"]
    with Wire(api.server) as wire:
        for title in ("first", "second"):
            body = b'{"title":"%b"}' % title.encode()
            wire.send(request_bytes("POST", "/v1/threads", api.key, body, *offer))
            offer = []
            answer = wire.answer()
            assert answer is not None
            assert answer.status == 200
            assert answer.json["title"] == title


def test_http_1_0_is_understood(api: Api) -> None:
    with Wire(api.server) as wire:
        wire.send(f"GET /v1/threads HTTP/1.0\r\nAuthorization: Bearer {api.key}\r\n\r\n".encode())
        answer: Answer | None = wire.answer()
        assert answer is not None
        assert answer.status == 200
        assert wire.closes()


@pytest.fixture
def eight_served(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server that serves eight clients at once, and lets eight more wait."""
    return start_server(config="[server]\nconnections_max = 8\n")


def test_clients_beyond_the_cap_wait_until_others_leave(eight_served: ServerProcess) -> None:
    ask = request_bytes("GET", "/v1/threads", eight_served.key)
    with contextlib.ExitStack() as waiting:
        with contextlib.ExitStack() as idle:
            for _ in range(8):
                idle.enter_context(Wire(eight_served))
            clients = [waiting.enter_context(Wire(eight_served)) for _ in range(8)]
            for client in clients:
                client.send(ask)
            assert not select.select([client.socket for client in clients], [], [], 0.2)[0]
        for client in clients:
            answer = client.answer()
            assert answer is not None
            assert answer.status == 200


def test_clients_beyond_those_that_wait_are_cut_off_at_once(eight_served: ServerProcess) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(16):
            clients.enter_context(Wire(eight_served))
        for _ in range(20):
            late = clients.enter_context(Wire(eight_served))
            late.socket.settimeout(CLOSED_SECONDS_MAX)
            assert late.closes()


def test_when_all_the_others_have_left_a_client_is_served(eight_served: ServerProcess) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(40):
            clients.enter_context(Wire(eight_served))
    ask = request_bytes("GET", "/v1/threads", eight_served.key)
    deadline = time.monotonic() + CLOSED_SECONDS_MAX
    # The server may see the next client before it sees that the others have left.
    answer = None
    while answer is None and time.monotonic() < deadline:
        with Wire(eight_served) as wire:
            wire.send(ask)
            answer = wire.answer()
    assert answer is not None
    assert answer.status == 200
