from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.dashboard.visitor import ANSWER_SECONDS_MAX, Visitor
from tests.server_process import ServerProcess
from tests.wire.http_call import Api


class Stream:
    """A stream of events as it comes."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self) -> tuple[str, Any]:
        """Wait for the next event: its name and what it says; empty when the stream has ended."""
        name = ""
        while line := self._response.readline():
            word, _, rest = line.decode().strip().partition(": ")
            if word == "event":
                name = rest
            elif word == "data":
                return name, msgspec.json.decode(rest)
        return "", None


@contextmanager
def watching(visitor: Visitor, thread: str = "") -> Iterator[Stream]:
    connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=ANSWER_SECONDS_MAX)
    jar = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    connection.request("GET", f"/dashboard/live?thread={thread}", headers={"Cookie": jar})
    response = connection.getresponse()
    try:
        assert response.status == 200, response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert "no-store" in response.headers["Cache-Control"]
        # The first lines come once the watch is set.
        assert response.readline() == b"retry: 2000\n"
        yield Stream(response)
    finally:
        response.close()
        connection.close()


def test_whatever_changes_in_a_thread_is_told_by_its_id(visitor: Visitor, api: Api) -> None:
    thread = api.new_thread(title="x")["id"]
    api.new_message(thread)
    with watching(visitor, thread) as stream:
        turn = api.new_message(thread, "a secret")["id"]
        about = {"thread_id": thread, "message_id": turn}
        assert stream.next() == ("turn-added", {"kind": "turn-added", **about})
        path = f"/v1/threads/{thread}/messages/{turn}"
        api.ok("POST", path, {"metadata": {"a": "b"}})
        assert stream.next() == ("turn-changed", {"kind": "turn-changed", **about})
        api.ok("DELETE", path)
        assert stream.next() == ("turn-deleted", {"kind": "turn-deleted", **about})
        api.ok("POST", f"/v1/threads/{thread}", {"title": "y"})
        assert stream.next()[0] == "thread-changed"
        api.ok("DELETE", f"/v1/threads/{thread}")
        assert stream.next()[0] == "thread-deleted"


def test_the_list_hears_of_threads_and_not_of_other_threads_turns(
    visitor: Visitor, api: Api
) -> None:
    old = api.new_thread(title="x", messages=[{"role": "user", "content": "one"}])["id"]
    with watching(visitor) as stream:
        api.new_message(old)
        thread = api.new_thread()["id"]
        created = {"kind": "thread-created", "thread_id": thread, "message_id": ""}
        assert stream.next() == ("thread-created", created)
        api.new_message(thread)  # Its first turn is what it is called by.
        assert stream.next()[0] == "thread-changed"


def test_no_organisation_hears_of_another(visitor: Visitor, dashboard: ServerProcess) -> None:
    other = Api(dashboard, dashboard.key)
    with watching(visitor) as stream:
        other.new_thread(title="theirs")
        thread = visitor.made("POST", "/threads", {"title": "ours"})
        assert stream.next()[1]["thread_id"] == thread


def test_a_thread_whose_actor_was_let_go_is_still_watched(
    elsewhere: Callable[[str], ServerProcess],
) -> None:
    server = elsewhere("[actors]\nidle_seconds = 0.01\nresident_bytes_max = 65536\n")
    api, visitor = Api(server, server.key), Visitor(server.port).sign_in(server.key)
    thread = api.new_thread(title="x")["id"]
    api.new_message(thread)
    with watching(visitor, thread) as stream:
        for _ in range(60):  # Each is resident, and together they are more than may be.
            api.new_thread(title="y")
        while (event := stream.next())[0] == "thread-created":
            if event[1]["thread_id"] == api.page("/v1/threads")["data"][0]["id"]:
                break
        turn = api.new_message(thread)["id"]
        while (event := stream.next())[0] == "thread-created":
            pass
        assert event == (
            "turn-added", {"kind": "turn-added", "thread_id": thread, "message_id": turn}
        )  # fmt: skip


def test_signing_out_ends_the_streams_of_the_session(visitor: Visitor) -> None:
    with watching(visitor) as stream:
        visitor.submit("/sign-out", csrf=visitor.csrf)
        assert stream.next() == ("signed-out", {})
        assert stream.next() == ("", None)


def test_a_stopping_server_ends_its_streams_at_once(
    elsewhere: Callable[[str], ServerProcess],
) -> None:
    server = elsewhere("[server]\nshutdown_seconds = 15\n")
    visitor = Visitor(server.port).sign_in(server.key)
    with watching(visitor) as stream:
        started = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - started < 10
        assert stream.next() == ("", None)


def test_streams_are_bounded_and_one_that_has_left_makes_room(
    elsewhere: Callable[[str], ServerProcess],
) -> None:
    server = elsewhere("[dashboard]\nstreams_max = 1\nreads_per_minute = 100000\n")
    visitor = Visitor(server.port).sign_in(server.key)
    with watching(visitor):
        answer = visitor.ask("GET", "/live")
        assert answer.status == 503
        assert "retry-after-ms" in answer.headers
    deadline = time.monotonic() + 10
    while True:
        try:
            with watching(visitor):
                return
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
