from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.http_call import Api

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
