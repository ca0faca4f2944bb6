"""One plain HTTP exchange with the server, checked for what every answer must have."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.server_process import ServerProcess

ANSWER_SECONDS_MAX = 15.0
THREAD_ID = re.compile(r"thread-[0-9a-f]{32}")
MESSAGE_ID = re.compile(r"msg-[0-9a-f]{32}")
_REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The members of `error`; message, type, param and code, in this order."""
        error = self.json["error"]
        assert isinstance(error, dict)
        return error


@dataclass(frozen=True)
class Api:
    """The server as one key sees it."""

    server: ServerProcess
    key: str

    def call(
        self,
        method: str,
        path: str,
        payload: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request with `payload` as JSON or `body` as it is; an empty key sends none."""
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if payload is not None:
            body = json.dumps(payload).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.port, timeout=ANSWER_SECONDS_MAX
        )
        try:
            connection.request(method, path, body=body, headers={**sent, **(headers or {})})
            return checked(read_answer(connection.getresponse()))
        finally:
            connection.close()

    def ok(self, method: str, path: str, payload: object = None) -> Any:
        """Send one request that must succeed, and return its JSON."""
        answer = self.call(method, path, payload)
        assert answer.status == 200, answer
        return answer.json

    def new_thread(self, **fields: object) -> dict[str, Any]:
        thread = self.ok("POST", "/v1/threads", fields)
        assert isinstance(thread, dict)
        return thread

    def new_message(self, thread_id: str, content: object = "hello", **fields: object) -> Any:
        payload = {"role": "user", "content": content, **fields}
        return self.ok("POST", f"/v1/threads/{thread_id}/messages", payload)

    def page(self, path: str, query: str = "") -> Any:
        return self.ok("GET", f"{path}?{query}" if query else path)


def read_answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): text for name, text in response.getheaders()}
    return Answer(response.status, headers, response.read())


def checked(answer: Answer) -> Answer:
    """Check what holds on every path and status, and return the answer."""
    assert answer.status < 500, answer
    assert _REQUEST_ID.fullmatch(answer.headers["x-request-id"]), answer.headers
    assert re.fullmatch(r"\d+(\.\d+)?", answer.headers["openai-processing-ms"]), answer.headers
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status >= 400:
        assert_error_shape(answer)
    return answer


def assert_error_shape(answer: Answer) -> None:
    """Check that an error looks as OpenAI's do."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert list(answer.json) == ["error"]
    assert list(answer.error) == ["message", "type", "param", "code"]
    assert isinstance(answer.error["message"], str)
    assert answer.error["message"]
    assert isinstance(answer.error["type"], str)
    assert answer.error["param"] is None or isinstance(answer.error["param"], str)
    assert answer.error["code"] is None or isinstance(answer.error["code"], str)
    assert answer.headers["x-request-id"]


class Wire:
    """A connection on which a test says exactly the bytes it means."""

    def __init__(self, server: ServerProcess) -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", server.port), timeout=ANSWER_SECONDS_MAX
        )
        self._incoming = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._incoming.close()
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send the pieces; a server that has stopped listening is no error of the test."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def goes_on(self) -> bool:
        """Wait for the server's word that it now reads the body of a request that asked first."""
        first, blank = self._incoming.readline(), self._incoming.readline()
        return (first, blank) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")

    def answer(self) -> Answer | None:
        """Return the next answer, or None when the server closed the connection without one."""
        try:
            status_line = self._incoming.readline()
            if not status_line:
                return None
            status = int(status_line.split()[1])
            headers = http.client.parse_headers(self._incoming)
            body = self._incoming.read(int(headers["Content-Length"]))
        except ConnectionResetError:
            return None
        return Answer(status, {name.lower(): text for name, text in headers.items()}, body)

    def rest(self) -> bytes:
        """Return all that comes until the server closes the connection."""
        return self._incoming.read()

    def closes(self) -> bool:
        """Wait until the server closes the connection, and drop what it says until then."""
        try:
            while self._incoming.read1():
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


def request_bytes(
    method: str, path: str, key: str, body: bytes = b"", *headers: str, length: int | None = None
) -> bytes:
    """Build a request by hand; `length` is what Content-Length claims."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *([f"Authorization: Bearer {key}"] if key else []),
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
