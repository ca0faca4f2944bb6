"""Whatever a client does, and however the server ends in between, it agrees with the model."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ragen_actor.actors import Limits
from ragen_actor.errors import RagenError
from ragen_actor.keyring import Key, Keyring
from ragen_actor.web import routes
from ragen_actor.web.call import Api, Call
from ragen_actor.web.error_map import error_body, status_and_type
from storage import Options, Storage
from storage.check import check
from tests.actors.house import House
from tests.model.machine import ThreadsMachine
from tests.server_process import ServerProcess
from tests.storage.samples import copied, crashed

# Everyone may be let go at any time, and nobody stays for long.
LIMITS = Limits(idle_seconds=0.0, resident_bytes_max=16 * 1024)
KEY = Key(hash="", hint="", org="acme", project="web", tier="unlimited", name="", created_at=0)


class RegistryMachine(ThreadsMachine):
    """Asks the handlers in this process, on real files."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.data_dir = self.folder / "0"
        self.starts = 0
        self.loop = asyncio.new_event_loop()
        self.open()

    def open(self) -> None:
        self.house = self.loop.run_until_complete(self.opened())
        self.api = Api(self.house.registry, Keyring(self.data_dir / "keys.jsonl"), 512)

    async def opened(self) -> House:
        options = Options(self.data_dir, journal_segment_bytes=128 * 1024)
        storage = await Storage.open(options)
        assert storage.recovered.faults == []
        return House(storage, LIMITS)

    async def one(self, method: str, path: str, payload: object) -> tuple[int, Any]:
        where, _, query = path.partition("?")
        body = b"" if payload is None else json.dumps(payload).encode()
        try:
            route = routes.find(method, where)
            reply: asyncio.Future[bytes] = self.loop.create_future()
            route.handler(
                self.api, Call(KEY, route.thread_id, route.message_id, query, body, reply)
            )
            return 200, json.loads(await reply)
        except RagenError as error:
            status, kind = status_and_type(error)
            return status, json.loads(error_body(error.message, kind, error.param, error.code))

    def call(self, method: str, path: str, payload: object = None) -> tuple[int, Any]:
        return self.loop.run_until_complete(self.one(method, path, payload))

    def call_all(self, calls: list[tuple[str, str, object]]) -> list[tuple[int, Any]]:
        async def together() -> list[tuple[int, Any]]:
            return list(await asyncio.gather(*[self.one(*each) for each in calls]))

        return self.loop.run_until_complete(together())

    def restart(self) -> None:
        self.loop.run_until_complete(self.house.close())
        assert list(check(self.data_dir)) == []
        self.open()

    def crash(self) -> None:
        """Go on with the files as they are now, half of the time as a copy that must be adopted."""
        self.starts += 1
        there = self.folder / str(self.starts)
        if self.starts % 2:
            crashed(self.data_dir, there)
        else:
            copied(self.data_dir, there)
        self.loop.run_until_complete(self.house.close())
        shutil.rmtree(self.data_dir)
        self.data_dir = there
        self.open()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.loop.run_until_complete(self.house.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
        assert list(check(self.data_dir)) == []
        shutil.rmtree(self.folder)


def test_threads_and_messages_agree_with_a_model_over_restarts_and_crashes() -> None:
    run_state_machine_as_test(
        RegistryMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_same_agrees_over_http_with_a_server_that_is_stopped_and_killed(
    own_server: ServerProcess,
) -> None:
    ends = iter(["a process takes long to start"] * 5)

    class HttpMachine(ThreadsMachine):
        """Asks a real process; what earlier examples made there is passed over."""

        def __init__(self) -> None:
            super().__init__()
            self.connection = http.client.HTTPConnection("127.0.0.1", own_server.port, timeout=20)
            for thread in self.ok("GET", "/v1/threads?limit=100")["data"]:
                self.ok("DELETE", f"/v1/threads/{thread['id']}")

        def call(self, method: str, path: str, payload: object = None) -> tuple[int, Any]:
            body = None if payload is None else json.dumps(payload).encode()
            headers = {"Authorization": f"Bearer {own_server.key}"}
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())

        def restart(self) -> None:
            if next(ends, None):
                self.connection.close()
                assert own_server.terminate() == 0
                own_server.restart()

        def crash(self) -> None:
            if next(ends, None):
                self.connection.close()
                own_server.kill()
                own_server.restart()

        def teardown(self) -> None:
            super().teardown()
            self.connection.close()

    run_state_machine_as_test(
        HttpMachine,
        settings=settings(
            max_examples=3,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
