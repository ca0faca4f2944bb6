from __future__ import annotations

from typing import Any

import pytest

from tests.wire.http_call import Api

TURN = {"role": "user", "content": "x"}


def not_found(message: str) -> dict[str, Any]:
    return {"message": message, "type": "invalid_request_error", "param": None, "code": None}


@pytest.mark.parametrize("thread", ["thread-x", "thread_x", "x", "thread-" + "0" * 32, "a" * 64])
def test_an_unknown_thread_is_named(api: Api, thread: str) -> None:
    expected = not_found(f"No thread found with id '{thread}'.")
    requests: list[tuple[str, str, object]] = [
        ("GET", f"/v1/threads/{thread}", None),
        ("POST", f"/v1/threads/{thread}", {}),
        ("PATCH", f"/v1/threads/{thread}", {}),
        ("DELETE", f"/v1/threads/{thread}", None),
        ("GET", f"/v1/threads/{thread}/messages", None),
        ("POST", f"/v1/threads/{thread}/messages", TURN),
        ("GET", f"/v1/threads/{thread}/messages/msg-x", None),
        ("POST", f"/v1/threads/{thread}/messages/msg-x", {}),
        ("DELETE", f"/v1/threads/{thread}/messages/msg-x", None),
    ]
    for method, path, payload in requests:
        answer = api.call(method, path, payload)
        assert (answer.status, answer.error) == (404, expected), (method, path)


@pytest.mark.parametrize("message", ["msg-x", "msg_x", "x", "msg-" + "0" * 32, "msg-" + "f" * 32])
def test_an_unknown_message_is_named(api: Api, message: str) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}/messages/{message}"
    expected = not_found(f"No message found with id '{message}'.")
    for method in ("GET", "POST", "DELETE"):
        answer = api.call(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.error) == (404, expected), method


def test_a_forged_id_next_to_a_real_one_is_not_found(api: Api) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    forged = message[:-1] + ("0" if message[-1] != "0" else "1")
    assert api.call("GET", f"/v1/threads/{thread}/messages/{forged}").status == 404
    assert api.call("DELETE", f"/v1/threads/{thread}/messages/{forged}").status == 404
    forged = thread[:-1] + ("0" if thread[-1] != "0" else "1")
    assert api.call("GET", f"/v1/threads/{forged}").status == 404
    assert api.call("GET", f"/v1/threads/{thread.upper()}").status == 404
    assert api.ok("GET", f"/v1/threads/{thread}/messages/{message}")["id"] == message
