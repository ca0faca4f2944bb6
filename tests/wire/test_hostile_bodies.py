from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.http_call import Api, Wire, assert_error_shape, request_bytes

DEEP = 60_000
TURN = b'{"role":"user","content":"x"}'

BAD_JSON = {
    "nothing but a brace": b"{",
    "words": b"hello",
    "a trailing comma": b'{"metadata":{},}',
    "single quotes": b"{'metadata':{}}",
    "two objects": b"{}{}",
    "text after the object": b"{} x",
    "a comment": b"{} // x",
    "an unquoted name": b"{metadata:{}}",
    "a number that is no name": b"{1:2}",
    "an unclosed string": b'{"title":"x',
    "a raw line break in a string": b'{"title":"a\nb"}',
    "a bad escape": b'{"title":"\\x"}',
    "half a unicode escape": b'{"title":"\\u12"}',
    "NaN": b'{"metadata":{"k":NaN}}',
    "NaN at the top": b"NaN",
    "Infinity": b'{"metadata":{"k":Infinity}}',
    "minus Infinity": b'{"metadata":{"k":-Infinity}}',
    "a number beyond a double": b'{"metadata":{"k":1e999}}',
    "a number of 5,000 digits": b'{"metadata":{"k":' + b"9" * 5000 + b"}}",
    "a leading zero": b'{"metadata":{"k":01}}',
    "a high surrogate alone": b'{"title":"\\ud800"}',
    "a low surrogate alone": b'{"title":"\\udfff"}',
    "surrogates in the wrong order": b'{"title":"\\udc00\\ud800"}',
    "a surrogate in a name": b'{"metadata":{"\\ud800":"v"}}',
    "a surrogate in UTF-8": b'{"title":"\xed\xa0\x80"}',
    "a stray continuation byte": b'{"title":"\x80"}',
    "a byte that UTF-8 never has": b'{"title":"\xff"}',
    "an overlong slash": b'{"title":"\xc0\xaf"}',
    "a cut character": b'{"title":"\xe6\xbc"}',
    "Latin-1": '{"title":"é"}'.encode("latin-1"),
    "a bad byte in an ignored field": b'{"file_ids":["\xff"]}',
    "a bad byte in tool_resources": b'{"tool_resources":{"file_search":"\xff"}}',
    "UTF-16": '{"title":"x"}'.encode("utf-16"),
    "UTF-32": '{"title":"x"}'.encode("utf-32"),
    "only blanks and garbage": b" \n\t\x0b{}",
    "a NUL": b"\x00",
    "a NUL behind": b"{}\x00",
    "deep arrays": b"[" * DEEP,
    "deep objects": b'{"a":' * (DEEP // 5),
    "deep and closed": b"[" * 9000 + b"]" * 9000,
    "deep metadata": b'{"metadata":{"k":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
    "deep tool_resources": b'{"tool_resources":' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"}",
    "deep ignored field": b'{"file_ids":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_a_body_that_is_no_json_is_a_400_of_one_line(tight: Api, body: bytes) -> None:
    for method, path in [
        ("POST", "/v1/threads"),
        ("POST", "/v1/threads/thread-x"),
        ("PATCH", "/v1/threads/thread-x"),
        ("POST", "/v1/threads/thread-x/messages"),
        ("POST", "/v1/threads/thread-x/messages/msg-x"),
    ]:
        answer = tight.call(method, path, body=body)
        assert answer.status == 400, (method, path)
        assert answer.error["type"] == "invalid_request_error"
        assert "\n" not in answer.error["message"]
        assert len(answer.error["message"]) < 2000


@pytest.mark.parametrize("body", [b'{"title":}', b'{\n"title": "x",\n}', b'{"title":"\xff"}'])
def test_a_400_for_bad_json_says_where_it_is_bad(tight: Api, body: bytes) -> None:
    message = tight.call("POST", "/v1/threads", body=body).error["message"]
    assert any(letter.isdigit() for letter in message)


@pytest.mark.parametrize(
    "content",
    [b'"\\ud83d"', b'[{"type":"text","text":"\\ud83d"}]', b'"\xff"', b"NaN", b"[" * 5000],
)
def test_a_bad_character_in_a_message_is_refused(tight: Api, content: bytes) -> None:
    body = b'{"role":"user","content":' + content + b"}"
    answer = tight.call("POST", "/v1/threads/thread-x/messages", body=body)
    assert answer.status == 400
    answer = tight.call("POST", "/v1/threads", body=b'{"messages":[' + TURN + b"," + body + b"]}")
    assert answer.status == 400


def test_a_surrogate_pair_is_one_character_and_legal(api: Api) -> None:
    answer = api.call("POST", "/v1/threads", body=b'{"title":"\\ud83d\\ude00"}')
    assert answer.json["title"] == "😀"


def test_of_a_key_given_twice_the_last_one_wins(api: Api) -> None:
    body = b'{"title":"first","metadata":{"k":"1","k":"2"},"title":"last"}'
    thread = api.call("POST", "/v1/threads", body=body).json
    assert (thread["title"], thread["metadata"]) == ("last", {"k": "2"})
    path = f"/v1/threads/{thread['id']}/messages"
    body = b'{"role":"human","content":"first","role":"user","content":"last"}'
    message = api.call("POST", path, body=body).json
    assert message["content"][0]["text"]["value"] == "last"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/json; charset=nowhere",
        "nonsense",
        ";;;",
        "",
    ],
)
def test_the_content_type_does_not_matter_if_the_body_is_json(api: Api, kind: str) -> None:
    body = '{"title":"é"}'.encode()
    answer = api.call("POST", "/v1/threads", body=body, headers={"Content-Type": kind})
    assert answer.status == 200
    assert answer.json["title"] == "é"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_is_no_json_whatever_its_content_type(tight: Api, kind: str) -> None:
    answer = tight.call("POST", "/v1/threads", body=b"title=x", headers={"Content-Type": kind})
    assert answer.status == 400


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "metadata",
        "messages",
        "tool_resources",
        "title",
        "assistant_id",
        "role",
        "content",
        "attachments",
        "file_ids",
        "file_search",
        "vector_stores",
        "type",
        "text",
        "foo",
    ]
)
BODIES = st.binary(max_size=100) | st.builds(
    lambda fields: json.dumps(fields).encode(),
    st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON | st.lists(JSON)), max_size=4),
)


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=BODIES)
def test_no_body_gives_a_500(api: Api, body: bytes) -> None:
    for path in ("/v1/threads", "/v1/threads/thread-x/messages", "/v1/threads/thread-x"):
        assert api.call("POST", path, body=body).status in (200, 400, 404)
    assert api.server.alive
