from __future__ import annotations

import re

import pytest

from tests.server_process import ServerProcess
from tests.wire.http_call import Answer, Api, Wire, assert_error_shape


def test_without_a_key_the_answer_says_how_to_send_one(no_key: Api) -> None:
    answer = no_key.call("POST", "/v1/threads", {})
    assert answer.status == 401
    assert "Bearer" in answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"
    assert (answer.error["param"], answer.error["code"]) == (None, None)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["", "Bearer", "Bearer ", "Basic dTpw", "Token x"])
def test_anything_but_a_bearer_key_counts_as_none(no_key: Api, scheme: str) -> None:
    answer = no_key.call("GET", "/v1/threads", headers={"Authorization": scheme})
    assert answer.status == 401
    assert "Bearer" in answer.error["message"]
    assert answer.error["code"] is None
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_unknown_key_is_shown_masked(server: ServerProcess) -> None:
    answer = Api(server, "not-a-recognized").call("GET", "/v1/threads")
    assert answer.status == 401
    assert answer.error == {
        "message": "Incorrect API key provided: not-a-re****ized.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_of_a_long_key_only_its_ends_are_shown(server: ServerProcess) -> None:
    wrong = server.key[:-1] + ("A" if server.key[-1] != "A" else "B")
    answer = Api(server, wrong).call("GET", "/v1/threads")
    assert answer.error["code"] == "invalid_api_key"
    shown = re.fullmatch(r"Incorrect API key provided: (.{8})\*+(.{4})\.", answer.error["message"])
    assert shown
    assert (shown[1], shown[2]) == (wrong[:8], wrong[-4:])


@pytest.mark.parametrize("key", ["a", "abc", "abcdefgh", "abcdefghijkl"])
def test_of_a_short_key_not_everything_is_shown(server: ServerProcess, key: str) -> None:
    answer = Api(server, key).call("GET", "/v1/threads")
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert f" {key}." not in answer.error["message"]
    assert "*" in answer.error["message"]


@pytest.mark.parametrize(
    "key", [b"\xff\xfe\xfd", "ключ".encode(), b"a b c", b"x" * 4000, b"\x01\x02", b"%00", b"../.."]
)
def test_no_key_whatever_it_holds_gives_more_than_a_401(server: ServerProcess, key: bytes) -> None:
    with Wire(server) as wire:
        wire.send(
            b"GET /v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + b"\r\n\r\n"
        )
        answer = wire.answer()
    assert answer is not None
    assert_error_shape(answer)
    assert answer.status in (400, 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"OpenAI-Organization": "globex"},
        {"OpenAI-Organization": "ACME"},
        {"OpenAI-Project": "mobile"},
        {"OpenAI-Organization": "acme", "OpenAI-Project": "depot"},
    ],
)
def test_an_organisation_or_project_that_is_not_the_keys_is_401(
    api: Api, headers: dict[str, str]
) -> None:
    answer = api.call("GET", "/v1/threads", headers=headers)
    assert answer.status == 401
    assert answer.error == {
        "message": "OpenAI-Organization header should match organization for API key",
        "type": "invalid_request_error",
        "param": None,
        "code": "mismatched_organization",
    }


def test_the_keys_own_organisation_and_project_may_be_named(api: Api) -> None:
    headers = {"OpenAI-Organization": "acme", "OpenAI-Project": "web"}
    assert api.call("GET", "/v1/threads", headers=headers).status == 200


def test_the_key_is_judged_before_the_headers_and_these_before_the_body(
    server: ServerProcess, api: Api
) -> None:
    headers = {"OpenAI-Organization": "globex"}
    unknown = Api(server, "not-a-recognized").call("GET", "/v1/threads", headers=headers)
    assert unknown.error["code"] == "invalid_api_key"
    answer: Answer = api.call("POST", "/v1/threads", body=b"{{{", headers=headers)
    assert answer.error["code"] == "mismatched_organization"


def test_no_key_is_ever_written_down_as_it_is(server: ServerProcess) -> None:
    secrets = [key.encode() for key in server.keys.values()]
    for path in server.data_dir.rglob("*"):
        if path.is_file() and path.suffix != ".wal":
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path
    assert not any(key in server.log for key in server.keys.values())
