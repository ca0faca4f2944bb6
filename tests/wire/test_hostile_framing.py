from __future__ import annotations

import gzip
import zlib

import pytest

from tests.wire.http_call import Api, Wire, assert_error_shape, request_bytes

TURN = b'{"role":"user","content":"x"}'


def test_a_body_may_be_chunked(api: Api) -> None:
    thread = api.new_thread()["id"]
    with Wire(api.server) as wire:
        wire.send(
            f"POST /v1/threads/{thread}/messages HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
            b"5\r\n" + TURN[:5] + b"\r\n",
            b"%x\r\n" % len(TURN[5:]) + TURN[5:] + b"\r\n",
            b"0\r\n\r\n",
        )
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 200
    assert api.page(f"/v1/threads/{thread}/messages")["data"] == [answer.json]


@pytest.mark.parametrize("at_once", [True, False], ids=["with the head", "after the head"])
@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"fffffffffffffffffffff\r\n{}", b"2\r\n{}xx\r\n0"],
)
def test_bad_chunks_are_a_400(tight: Api, chunks: bytes, at_once: bool) -> None:
    head = (
        f"POST /v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tight.key}\r\n"
        "Transfer-Encoding: chunked\r\n"
    ).encode()
    with Wire(tight.server) as wire:
        if at_once:
            wire.send(head + b"\r\n" + chunks)
        else:
            wire.send(head + b"Expect: 100-continue\r\n\r\n")
            assert wire.goes_on()
            wire.send(chunks)
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 400
    assert_error_shape(answer)


def test_chunks_that_pass_the_body_limit_are_a_413(tight: Api) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with Wire(tight.server) as wire:
        wire.send(
            f"POST /v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tight.key}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode(),
            *[chunk] * 5,
        )
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 413
    assert_error_shape(answer)
    assert "65536" in answer.error["message"]


def test_a_body_of_one_byte_too_many_is_a_413(tight: Api) -> None:
    assert tight.call("POST", "/v1/threads/thread-x", body=b"{}".ljust(65536)).status == 404
    answer = tight.call("POST", "/v1/threads/thread-x", body=b"{}".ljust(65537))
    assert answer.status == 413
    assert "65536" in answer.error["message"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"{" + b" " * 10_000_000)),
        ("deflate", zlib.compress(b"{" + b" " * 10_000_000)),
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b'{"foo":1}')[:-4]),
        ("deflate", b"\x00"),
        ("br", b"\xff"),
        ("zstd", b"\xff"),
        ("nonsense", b"{{{"),
    ],
)
def test_a_compressed_body_never_passes_the_limit_nor_breaks_the_server(
    tight: Api, encoding: str, body: bytes
) -> None:
    headers = {"Content-Encoding": encoding}
    answer = tight.call("POST", "/v1/threads", body=body, headers=headers)
    assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("DELETE", "/v1/threads/thread-x", "", 401),
        ("POST", "/v1/threads", "not-a-recognized", 401),
        ("POST", "/v1/nowhere", "", 404),
        ("PUT", "/v1/threads", "", 405),
        ("DELETE", "/v1/threads/thread-x", None, 404),
        ("GET", "/v1/threads", None, 200),
    ],
)
def test_a_broken_body_that_nobody_reads_harms_nobody(
    tight: Api, method: str, path: str, key: str | None, status: int
) -> None:
    api = tight if key is None else Api(tight.server, key)
    headers = {"Content-Encoding": "gzip"}
    assert api.call(method, path, body=b"no gzip at all", headers=headers).status == status


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: -2",
        "Content-Length: two",
        "Content-Length: 1e3",
        "Content-Length: 99999999999999999999999999",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: nonsense",
        "Transfer-Encoding: chunked, chunked",
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused(tight: Api, framing: str) -> None:
    with Wire(tight.server) as wire:
        wire.send(
            f"POST /v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tight.key}\r\n"
            f"{framing}\r\n\r\n{{{{".encode()
        )
        answer = wire.answer()
    assert answer is not None
    assert 400 <= answer.status < 500
    assert_error_shape(answer)


def test_a_body_that_never_ends_is_given_up(tight: Api) -> None:
    with Wire(tight.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", tight.key, b'{"title":', length=1000))
        answer = wire.answer()
        if answer is not None:
            assert 400 <= answer.status < 500
            assert_error_shape(answer)
            assert wire.closes()


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(api: Api) -> None:
    body = b'{"title":"x"}'
    asking = "Expect: 100-continue"
    with Wire(api.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", api.key, b"", asking, length=len(body)))
        assert wire.goes_on()
        wire.send(body)
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 200


def test_a_client_that_asks_with_a_bad_key_is_refused_at_once(tight: Api) -> None:
    asking = "Expect: 100-continue"
    with Wire(tight.server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", "not-a-recognized", b"", asking, length=9))
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 401
