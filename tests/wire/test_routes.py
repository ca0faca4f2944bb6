from __future__ import annotations

import pytest

from tests.server_process import ServerProcess
from tests.wire.http_call import Api, Wire, assert_error_shape, request_bytes

THREAD = "/v1/threads/{thread}"
MESSAGES = "/v1/threads/{thread}/messages"
MESSAGE = "/v1/threads/{thread}/messages/{message}"

METHODS = {
    "/v1/threads": {"GET", "POST"},
    THREAD: {"GET", "POST", "PATCH", "DELETE"},
    MESSAGES: {"GET", "POST"},
    MESSAGE: {"GET", "POST", "DELETE"},
}
ALL_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path, methods in METHODS.items() for method in sorted(methods)],
)
def test_every_route_answers_200(api: Api, method: str, path: str) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    body = {"role": "user", "content": "x"} if (method, path) == ("POST", MESSAGES) else None
    answer = api.call(method, path.format(thread=thread, message=message), body)
    assert answer.status == 200, answer
    assert answer.headers["content-type"].split(";")[0] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path, methods in METHODS.items() for method in ALL_METHODS - methods],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(
    no_key: Api, method: str, path: str
) -> None:
    path = path.format(thread="thread-x", message="msg-x")
    answer = no_key.call(method, path)
    assert answer.status == 405
    assert answer.error == {
        "message": f"Invalid method for URL ({method} {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    allowed = {name.strip() for name in answer.headers["allow"].split(",")}
    assert allowed - {"HEAD", "OPTIONS"} == methods_of(path)


def methods_of(path: str) -> set[str]:
    parts = path.removeprefix("/v1/threads").strip("/").split("/")
    return list(METHODS.values())[len(parts) if parts[0] else 0]


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/x", "/v1/threads/t/messages/m/n", "/v1/threads/t/x", "/threads"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_url_is_404_before_any_key_is_asked_for(
    no_key: Api, method: str, path: str
) -> None:
    answer = no_key.call(method, path)
    assert answer.status == 404
    assert answer.error == {
        "message": f"Invalid URL ({method} {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/threads/runs"),
        ("POST", "/v1/threads/{thread}/runs"),
        ("GET", "/v1/threads/{thread}/runs/run_x"),
        ("GET", "/v1/threads/{thread}/runs/run_x/steps"),
        ("GET", "/v1/assistants"),
        ("POST", "/v1/assistants"),
        ("GET", "/v1/assistants/asst-web"),
    ],
)
def test_runs_and_assistants_are_404_and_the_text_says_so(api: Api, method: str, path: str) -> None:
    answer = api.call(method, path.format(thread=api.new_thread()["id"]), {})
    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"
    missing = "assistants" if "assistants" in path else "runs"
    assert missing in answer.error["message"].lower()
    assert "No thread found" not in answer.error["message"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_key(no_key: Api, path: str) -> None:
    answer = no_key.call("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"].split(";")[0] == "application/json"


def test_an_empty_body_equals_an_empty_object(api: Api) -> None:
    assert api.call("POST", "/v1/threads").status == 200
    assert api.call("POST", "/v1/threads", body=b"").status == 200
    thread = api.new_thread(metadata={"k": "v"})
    path = f"/v1/threads/{thread['id']}"
    assert api.call("POST", path).json == thread
    assert api.call("PATCH", path, body=b"{}").json == thread


def test_the_body_of_a_delete_is_never_parsed(api: Api) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    path = f"/v1/threads/{thread}"
    assert api.call("DELETE", f"{path}/messages/{message}", body=b"{{{").status == 200
    assert api.call("DELETE", path, body=b"\xff\xfe").status == 200


def test_head_is_a_wrong_method_and_has_no_body(server: ServerProcess) -> None:
    with Wire(server) as wire:
        wire.send(request_bytes("HEAD", "/v1/threads", server.key, b"", "Connection: close"))
        head, _, body = wire.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert body == b""


def test_the_method_is_judged_before_the_key_and_the_url_before_the_method(no_key: Api) -> None:
    assert no_key.call("PUT", "/v1/nowhere").status == 404
    assert no_key.call("PUT", "/v1/threads").status == 405
    assert no_key.call("POST", "/v1/threads", body=b"{{{").status == 401


def test_the_body_is_judged_before_the_thread_and_the_thread_before_the_message(api: Api) -> None:
    unknown = "/v1/threads/thread-x/messages"
    assert api.call("POST", unknown, {"role": "human", "content": "x"}).status == 400
    assert api.call("POST", unknown, {"role": "user", "content": "x"}).status == 404
    answer = api.call("GET", f"{unknown}/msg-x")
    assert answer.error["message"] == "No thread found with id 'thread-x'."


def test_no_body_is_awaited_before_the_key_is_known(server: ServerProcess) -> None:
    with Wire(server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", "not-a-recognized", length=1000))
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 401
    assert_error_shape(answer)


def test_a_body_announced_as_too_large_is_refused_unread_and_the_limit_is_named(
    server: ServerProcess,
) -> None:
    limit = 8 * 1024 * 1024
    with Wire(server) as wire:
        wire.send(request_bytes("POST", "/v1/threads", server.key, length=limit + 1))
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 413
    assert_error_shape(answer)
    assert str(limit) in answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"


def test_a_body_of_the_limit_is_read(api: Api) -> None:
    body = b'{"metadata":{"k":"v"}}'
    assert api.call("POST", "/v1/threads", body=body.ljust(8 * 1024 * 1024)).status == 200
