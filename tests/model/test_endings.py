"""A real server process that is stopped, doubled or copied while clients write to it."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ragen_actor.cli.exit_codes import Exit
from tests.model.serving import serving
from tests.server_process import ROOT, ServerProcess
from tests.wire.http_call import Api

WRITERS = 12
SECONDS_MAX = 30.0


class Writer(threading.Thread):
    """Creates a thread and appends to it, one message after the other, until it is turned away.

    Attributes:
        acknowledged: The messages that it was told are stored, in their order.
        refused: The statuses of other answers.
    """

    def __init__(self, server: ServerProcess, number: int, counted: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[Any] = []
        self.refused: list[int] = []
        self.stopped = threading.Event()
        self._number = number
        self._counted = counted
        self._headers = {"Authorization": f"Bearer {server.key}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS_MAX)
        self.thread_id = self._post("/v1/threads", {})["id"]

    def _post(self, path: str, payload: object) -> Any:
        self._connection.request("POST", path, json.dumps(payload), self._headers)
        answer = self._connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            self.refused.append(answer.status)
            raise ConnectionError(answer.status)
        return body

    def run(self) -> None:
        path = f"/v1/threads/{self.thread_id}/messages"
        try:
            while not self.stopped.is_set():
                text = f"{self._number}.{len(self.acknowledged)} " + "x" * 400
                self.acknowledged.append(self._post(path, {"role": "user", "content": text}))
                self._counted.release()
        except (ConnectionError, http.client.HTTPException):
            pass
        finally:
            self._connection.close()


@contextmanager
def writers(server: ServerProcess, acknowledged: int) -> Iterator[list[Writer]]:
    """Let clients write, and go on once so many of their messages are stored."""
    counted = threading.Semaphore(0)
    its = [Writer(server, number, counted) for number in range(WRITERS)]
    for writer in its:
        writer.start()
    for _ in range(acknowledged):
        assert counted.acquire(timeout=SECONDS_MAX)
    yield its
    for writer in its:
        writer.stopped.set()
        writer.join(SECONDS_MAX)
        assert not writer.is_alive()


def stored(api: Api, thread_id: str) -> list[Any]:
    """Read a whole thread, oldest first."""
    path = f"/v1/threads/{thread_id}/messages"
    page = api.page(path, "order=asc&limit=100")
    found: list[Any] = page["data"]
    while page["has_more"]:
        page = api.page(path, f"order=asc&limit=100&after={page['last_id']}")
        found += page["data"]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_signal_ends_a_busy_server_well_and_what_it_acknowledged_is_there(
    own_server: ServerProcess, number: signal.Signals
) -> None:
    process = own_server._process
    assert process is not None
    with writers(own_server, 300) as its:
        process.send_signal(number)
        assert process.wait(SECONDS_MAX) == Exit.FINE
    assert "Traceback" not in own_server.log
    assert "some requests had no answer" not in own_server.log
    assert {status for writer in its for status in writer.refused} <= {503}
    own_server.restart()
    assert "; 0 batches of the last run were done again" in own_server.log.rsplit("ready", 1)[1]
    api = Api(own_server, own_server.key)
    for writer in its:
        found = stored(api, writer.thread_id)
        assert found[: len(writer.acknowledged)] == writer.acknowledged
        assert len(found) <= len(writer.acknowledged) + 1, "what was begun, at most"


def test_a_second_server_on_the_same_directory_is_refused_in_one_line(
    own_server: ServerProcess,
) -> None:
    config = own_server.data_dir.with_suffix(".toml")
    second = subprocess.run(
        [
            *(sys.executable, "-m", "ragen_actor", "serve", "--port", "0"),
            *("--data-dir", str(own_server.data_dir), "--config", str(config)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert second.returncode == Exit.IN_USE
    assert second.stdout == ""
    (line,) = second.stderr.strip().splitlines()
    assert "another server runs on this data directory" in line
    assert str(own_server.data_dir) in line
    Api(own_server, own_server.key).new_thread()


@pytest.mark.parametrize("method", ["cp", "tar", "file by file"])
def test_a_copy_made_while_clients_write_holds_all_that_was_acknowledged_before(
    own_server: ServerProcess, tmp_path: Path, method: str
) -> None:
    there = tmp_path / "copy" / "data"
    there.parent.mkdir()
    with writers(own_server, 200) as its:
        before = [len(writer.acknowledged) for writer in its]
        copy(own_server.data_dir, there, method)
    api = Api(own_server, own_server.key)
    written = {writer.thread_id: stored(api, writer.thread_id) for writer in its}

    second = ServerProcess(there)
    second.start()
    try:
        copied = Api(second, own_server.key)
        for writer, count in zip(its, before, strict=True):
            found = stored(copied, writer.thread_id)
            assert len(found) >= count
            assert found == written[writer.thread_id][: len(found)]
            copied.new_message(writer.thread_id, "life goes on in the copy")
        assert "journal is damaged" not in second.log
    finally:
        second.close()
    assert all(stored(api, writer.thread_id) == written[writer.thread_id] for writer in its), (
        "the original knows nothing of it"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "ragen_actor", "check", "--data-dir", str(there)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert checked.returncode == Exit.FINE, checked.stdout + checked.stderr


def copy(data_dir: Path, there: Path, method: str) -> None:
    match method:
        case "cp":
            subprocess.run(["cp", "-a", str(data_dir), str(there)], check=True)
        case "tar":
            archive = there.with_suffix(".tar")
            # tar says with 1 that a file changed while it was read, which is the point here.
            made = subprocess.run(
                ["tar", "-cf", str(archive), "-C", str(data_dir), "."],
                capture_output=True,
                check=False,
            )
            assert made.returncode in (0, 1), made.stderr
            there.mkdir()
            subprocess.run(["tar", "-xf", str(archive), "-C", str(there)], check=True)
        case _:
            # The journal last, and of the rest the threads before their catalogue.
            shutil.copytree(data_dir / "orgs/acme/threads", there / "orgs/acme/threads")
            shutil.copy2(data_dir / "orgs/acme/catalog.jsonl", there / "orgs/acme")
            for name in ("journal", "."):
                for path in sorted((data_dir / name).iterdir()):
                    if path.is_file():
                        (there / name).mkdir(exist_ok=True)
                        shutil.copy2(path, there / name)


async def test_a_server_that_drains_is_alive_but_not_ready_and_refuses_before_any_commit(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "data") as house:
        thread = await house.call("POST", "/v1/threads", {})
        assert (await house.answer("GET", "/readyz")).status == 200
        house.gate.draining = True
        syncs = house.storage.disk.syncs
        assert (await house.answer("GET", "/healthz")).status == 200
        ready = await house.answer("GET", "/readyz")
        assert ready.status == 503
        assert ready.headers["retry-after"]
        for method, path in (("POST", "/v1/threads"), ("GET", f"/v1/threads/{thread['id']}")):
            refused = await house.answer(method, path, {})
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) >= 1
        assert house.storage.disk.syncs == syncs
        house.gate.draining = False
        assert (await house.answer("GET", "/readyz")).status == 200


async def test_a_server_that_still_recovers_is_neither_alive_nor_ready(tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as house:
        api, house.gate.api = house.gate.api, None
        for path in ("/healthz", "/readyz", "/v1/threads"):
            answer = await house.answer("GET", path)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        house.gate.api = api
        assert (await house.answer("GET", "/healthz")).status == 200
