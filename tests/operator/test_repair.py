"""`ragen-actor check --repair`: afterwards all is sound, and what is left is served."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from ragen_actor.cli import Exit
from tests.operator.command import run
from tests.server_process import ServerProcess

TEXT = "a text of some length, as texts are"


def call(server: ServerProcess, method: str, path: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(
        method,
        path,
        body=None if body is None else json.dumps(body),
        headers={"Authorization": f"Bearer {server.key}"},
    )
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@pytest.fixture
def thread(own_server: ServerProcess) -> str:
    """A thread of five messages on a server of its own."""
    messages = [{"role": "user", "content": f"{place} {TEXT}"} for place in range(5)]
    made = call(own_server, "POST", "/v1/threads", {"messages": messages, "title": "mine"})
    return str(made["id"])


def file_of(data_dir: Path, thread: str) -> Path:
    return next(data_dir.rglob(f"{thread}.jsonl"))


def texts(server: ServerProcess, thread: str) -> list[str]:
    page = call(server, "GET", f"/v1/threads/{thread}/messages?order=asc")
    return [each["content"][0]["text"]["value"] for each in page["data"]]


def test_a_damaged_directory_is_served_again_but_for_what_is_damaged(
    own_server: ServerProcess, thread: str
) -> None:
    data_dir = own_server.data_dir
    own_server.terminate()
    path = file_of(data_dir, thread)
    path.write_bytes(
        path.read_bytes().replace(b"2 " + TEXT.encode(), b"2 " + TEXT.upper().encode())
    )
    assert run("check", data_dir=data_dir).code == Exit.FAILED

    ended = run("check", "--repair", data_dir=data_dir)

    assert ended.code == Exit.FINE
    name = path.relative_to(data_dir)
    first, second = ended.out.splitlines()
    assert first.startswith(f"{name}:") and ".damaged-" in first
    assert second.startswith(f"{name}:0: ") and "4 messages" in second
    assert "2 repairs were made" in ended.err
    assert ended.err.endswith("nothing is damaged\n")
    again = run("check", "--repair", data_dir=data_dir)
    assert (again.code, again.out) == (Exit.FINE, "")
    assert "there is nothing to repair" in again.err
    own_server.restart()
    assert texts(own_server, thread) == [f"{place} {TEXT}" for place in (0, 1, 3, 4)]


def test_a_thread_that_lost_its_entry_is_bound_to_its_organisations_first_project(
    own_server: ServerProcess, thread: str
) -> None:
    data_dir = own_server.data_dir
    before = call(own_server, "GET", f"/v1/threads/{thread}")
    own_server.terminate()
    (data_dir / "orgs/acme/catalog.jsonl").unlink()
    assert run("check", "--repair", data_dir=data_dir).code == Exit.FINE
    own_server.restart()
    after = call(own_server, "GET", f"/v1/threads/{thread}")
    assert after == before | {"title": None}
    assert after["assistant_id"] == "asst-web"
    assert len(texts(own_server, thread)) == 5


def test_a_directory_that_a_server_has_is_left_alone(
    own_server: ServerProcess, thread: str
) -> None:
    ended = run("check", "--repair", data_dir=own_server.data_dir)
    assert (ended.code, ended.out) == (Exit.IN_USE, "")
    assert "another server runs on this data directory" in ended.err


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    assert run("check", "--repair", data_dir=tmp_path / "none").code == Exit.USAGE
    assert not (tmp_path / "none").exists()
    assert run("check", "--repair", data_dir=tmp_path).code == Exit.FAILED
    assert list(tmp_path.iterdir()) == []
