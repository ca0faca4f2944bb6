from __future__ import annotations

import pytest

from tests.wire.http_call import Api, Wire, assert_error_shape, request_bytes

HOSTILE = [
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fkeys.jsonl",
    "..%5C..%5Cx",
    "%2Fetc%2Fpasswd",
    "thread-%00",
    "%00",
    "thread-x%00.jsonl",
    "%0A",
    "%0D%0ASet-Cookie:%20x",
    "%7F",
    "%FF%FE",
    "%C0%AE%C0%AE",
    "%ED%A0%80",
    "%",
    "%zz",
    "%25%32%65",
    "thread-*",
    "~root",
    "$(id)",
    "'%20OR%201=1--",
    "{thread_id}",
    "%D1%82%D1%80%D1%8D%D0%B4",
    "%E6%BC%A2%E5%AD%97",
    "%F0%9F%98%80",
    "thread%EF%BC%8D" + "0" * 32,
    "thread-" + "%D9%A0" * 32,
    "THREAD-" + "0" * 32,
    "thread-" + "0" * 31 + "%20",
    "%20",
    "catalog",
    "lock",
    "con",
    "x" * 255,
    "x" * 256,
    "x" * 1000,
    "%F0%9F%98%80" * 100,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_id_is_not_found_and_touches_nothing(tight: Api, hostile: str) -> None:
    message = b'{"role":"user","content":"x"}'
    for method, path, body in [
        ("GET", f"/v1/threads/{hostile}", None),
        ("POST", f"/v1/threads/{hostile}", b"{}"),
        ("PATCH", f"/v1/threads/{hostile}", b'{"title":"x"}'),
        ("DELETE", f"/v1/threads/{hostile}", None),
        ("GET", f"/v1/threads/{hostile}/messages", None),
        ("POST", f"/v1/threads/{hostile}/messages", message),
        ("GET", f"/v1/threads/thread-x/messages/{hostile}", None),
        ("POST", f"/v1/threads/thread-x/messages/{hostile}", b"{}"),
        ("DELETE", f"/v1/threads/thread-x/messages/{hostile}", None),
    ]:
        answer = tight.call(method, path, body=body)
        assert answer.status == 404, (method, path, answer)
        assert str(tight.server.data_dir) not in answer.error["message"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_message_id_in_a_real_thread_is_not_found(api: Api, hostile: str) -> None:
    path = f"/v1/threads/{api.new_thread()['id']}/messages/{hostile}"
    for method in ("GET", "POST", "DELETE"):
        assert api.call(method, path, {} if method == "POST" else None).status == 404, method


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1/threads/../../etc/passwd",
        b"/v1/threads/./x/../..",
        b"//etc/passwd",
        b"/v1/threads//messages",
        b"/v1/threads/\xff\xfe",
        "/v1/threads/漢字".encode(),
        b"/v1/threads/\x00",
        b"/v1/threads/\x7f\x01",
        b"/v1/threads/" + b"x" * 10_000,
        b"/v1/threads/" + b"%41" * 10_000,
        b"/v1/threads/x/messages/" + b"y" * 10_000,
        b"/v1/threads?after=" + b"z" * 10_000,
        b"/v1/threads/x#y",
        b"http://other.example/v1/threads/x",
        b"*",
        b"x",
        b"/v1/threads/[::1",
        b"http://[::1/v1/threads",
        b"http://a:99999999/v1/threads",
        b"?",
        b"/%",
    ],
)
def test_a_hostile_target_gets_a_4xx_in_openais_shape(tight: Api, raw: bytes) -> None:
    with Wire(tight.server) as wire:
        wire.send(
            b"GET " + raw + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ",
            tight.key.encode(),
            b"\r\n\r\n",
        )
        answer = wire.answer()
    assert answer is not None
    assert 400 <= answer.status < 500
    assert_error_shape(answer)


@pytest.mark.parametrize("name", ["after", "before", "run_id", "order", "limit", "foo"])
def test_a_hostile_query_is_a_400_or_ignored(api: Api, name: str) -> None:
    path = f"/v1/threads/{api.new_thread()['id']}/messages"
    for hostile in [*HOSTILE, "&&&", "=", "+", ";", "x" * 5000]:
        answer = api.call("GET", f"{path}?{name}={hostile}&{name}")
        expected = {200} if name in ("run_id", "foo") else {200, 400}
        assert answer.status in expected, (hostile, answer)


def test_ten_thousand_characters_of_id_are_refused_before_the_key_is_asked_for(
    tight: Api,
) -> None:
    with Wire(tight.server) as wire:
        wire.send(request_bytes("GET", "/v1/threads/" + "x" * 10_000, ""))
        answer = wire.answer()
    assert answer is not None
    assert 400 <= answer.status < 500
    assert_error_shape(answer)
