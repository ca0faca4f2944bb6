"""The plainest HTTP client: it never retries, so every answer is seen as it was given."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

ANSWER_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        headers: By lower-case name.
    """

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The error of an answer that has one, in OpenAI's shape and nothing besides."""
        assert set(self.body) == {"error"}, self.body
        error: dict[str, Any] = self.body["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        return error


class PlainClient:
    """One connection, kept open between requests."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Send one request and return its answer.

        Raises:
            OSError, HTTPException: The server went away before it answered.
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, body=data, headers=self._headers)
            response = self._connection.getresponse()
            raw = response.read()
        except BaseException:
            self._connection.close()
            raise
        headers = {name.lower(): text for name, text in response.getheaders()}
        return Reply(response.status, headers, json.loads(raw))

    def every(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield all objects of a list, oldest first, page after page."""
        query = {"order": "asc", "limit": "100"}
        while True:
            reply = self.ask("GET", f"{path}?{urlencode(query)}")
            assert reply.status == 200, reply
            yield from reply.body["data"]
            if not reply.body["has_more"]:
                return
            query["after"] = reply.body["last_id"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
