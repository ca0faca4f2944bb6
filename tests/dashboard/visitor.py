"""A browser without a screen: it keeps cookies, and sends what the page's script sends."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import quote, urlencode

from tests.wire.http_call import Answer, read_answer

ANSWER_SECONDS_MAX = 15.0
_ROW = re.compile(r'<li data-id="(thread-[0-9a-f]{32})">')
_TURN = re.compile(r'<li class="turn (user|assistant)" data-id="(msg-[0-9a-f]{32})">')


@dataclass
class Visitor:
    """Somebody at a browser.

    Attributes:
        port: Of the server.
        cookies: By name; those that ended are gone.
        lines: Every Set-Cookie line, as it came.
        csrf: What the page says that changes must bear; empty before one was seen.
    """

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    csrf: str = ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request to a path below /dashboard."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS_MAX)
        jar = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            connection.request(
                method, f"/dashboard{path}", body=body, headers={**jar, **(headers or {})}
            )
            response = connection.getresponse()
            for line in response.headers.get_all("Set-Cookie", []):
                self.lines.append(line)
                self._keep(line)
            return read_answer(response)
        finally:
            connection.close()

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value

    def submit(self, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.ask("POST", path, body=urlencode(fields).encode(), headers=kind)

    def try_key(self, key: str, *, wanted: str = "/dashboard", **headers: str) -> Answer:
        """Fill in the sign-in page."""
        page = self.ask("GET", "/sign-in").body.decode()
        found = re.search(r'name="form" value="([0-9a-f]+)"', page)
        assert found, page
        return self.submit("/sign-in", headers, key=key, form=found[1], next=wanted)

    def sign_in(self, key: str) -> Visitor:
        """Sign in, open the page and take note of its token."""
        answer = self.try_key(key)
        assert answer.status == 303, answer
        page = self.ask("GET", "").body.decode()
        found = re.search(r'<meta name="csrf" content="([0-9a-f]{64})">', page)
        assert found, page
        self.csrf = found[1]
        return self

    def change(self, method: str, path: str, payload: object = None) -> Answer:
        """Send a change as the page's script does."""
        body = None if payload is None else json.dumps(payload).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        return self.ask(method, path, body=body, headers={"X-CSRF-Token": self.csrf, **kind})

    def made(self, method: str, path: str, payload: object = None) -> str:
        """Send a change that must succeed; return the id that it is about."""
        answer = self.change(method, path, payload)
        assert answer.status == 200, answer
        name = answer.json["id"]
        assert isinstance(name, str)
        return name

    def rows(self, query: str = "") -> tuple[list[str], Answer]:
        """Read a part of the list: the ids it holds, and the answer."""
        answer = self.ask("GET", f"/threads?{query}")
        assert answer.status == 200, answer
        return _ROW.findall(answer.body.decode()), answer

    def filtered(self, text: str) -> list[str]:
        """Filter the list to its end; return the ids that match."""
        found: list[str] = []
        after = ""
        while True:
            ids, answer = self.rows(f"filter={quote(text)}" + (f"&after={after}" if after else ""))
            found += ids
            if answer.headers["x-more"] == "false":
                return found
            after = answer.headers["x-cursor"]

    def turns(self, thread_id: str, query: str) -> tuple[list[str], Answer]:
        """Read a part of a conversation: the ids it holds, top to bottom, and the answer."""
        answer = self.ask("GET", f"/threads/{thread_id}/turns?{query}")
        assert answer.status == 200, answer
        return [name for _, name in _TURN.findall(answer.body.decode())], answer
