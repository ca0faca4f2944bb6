"""The control socket: who can reach it, and what becomes of it."""

from __future__ import annotations

import http.client
import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ragen_actor.cli import Exit
from ragen_actor.control_path import PATH_BYTES_MAX, SOCKET, control_path
from tests.operator.command import run
from tests.server_process import ServerProcess


class Connection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._data_dir = data_dir

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        with control_path(self._data_dir) as path:
            self.sock.connect(path)


def asked(data_dir: Path, method: str, path: str, body: str = "") -> tuple[int, list[object]]:
    connection = Connection(data_dir)
    try:
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        lines = answer.read().splitlines()
        return answer.status, [json.loads(line) for line in lines if line.startswith(b"{")]
    finally:
        connection.close()


def test_only_the_owner_can_reach_it(server: ServerProcess) -> None:
    mode = (server.data_dir / SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_it_tells_how_far_it_is_and_what_it_has_done(own_server: ServerProcess) -> None:
    status, lines = asked(own_server.data_dir, "POST", "/compact", '{"now":true}')
    assert status == 200
    assert [list(line) for line in lines if isinstance(line, dict)][-1] == ["done"]
    assert len(lines) >= 2


@pytest.mark.parametrize("body", ["{", "[]", '{"now":1}', '{"soon":true}'])
def test_what_it_does_not_understand_it_refuses(server: ServerProcess, body: str) -> None:
    status, lines = asked(server.data_dir, "POST", "/compact", body)
    assert status == 400
    assert len(lines) == 1


def test_it_knows_nothing_of_threads(server: ServerProcess) -> None:
    assert asked(server.data_dir, "GET", "/v1/threads")[0] == 404


def test_it_is_not_served_to_the_network(server: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/compact", headers={"Authorization": f"Bearer {server.key}"})
    assert connection.getresponse().status == 404
    connection.close()


def test_it_goes_with_the_server(own_server: ServerProcess) -> None:
    own_server.terminate()
    assert not (own_server.data_dir / SOCKET).exists()


def test_one_that_a_crash_left_is_replaced(own_server: ServerProcess) -> None:
    own_server.kill()
    assert (own_server.data_dir / SOCKET).exists()
    own_server.restart()
    assert asked(own_server.data_dir, "POST", "/compact")[0] == 200


@pytest.fixture
def far_away(tmp_path: Path) -> Path:
    return tmp_path / ("a" * 100) / ("b" * 100) / "data"


def test_a_long_path_is_no_hindrance(far_away: Path) -> None:
    server = ServerProcess(far_away)
    server.start()
    try:
        assert len(str(far_away / SOCKET)) > PATH_BYTES_MAX
        assert (far_away / SOCKET).stat().st_mode & 0o777 == 0o600
        assert run("compact", "--now", data_dir=far_away).code == Exit.FINE
    finally:
        server.close()


def test_a_long_path_is_shortened_by_where_one_stands(
    far_away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_away.mkdir(parents=True)
    with control_path(far_away) as path:
        assert len(path) <= PATH_BYTES_MAX
    monkeypatch.chdir(far_away.parent)
    with control_path(far_away) as path:
        assert path == f"data/{SOCKET}"


def test_a_server_without_room_for_a_socket_serves_all_the_same(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    data_dir = tmp_path / "server-0" / "data"
    (data_dir / SOCKET).mkdir(parents=True)
    server = start_server()
    assert f"no commands are taken through {SOCKET}" in server.log
    assert run("compact", data_dir=data_dir).code == Exit.NO_ANSWER
