from __future__ import annotations

import asyncio
import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Seen, open_thread, sign_in
from tests.server_process import ServerProcess
from tests.vault.kms_server import KmsServer
from tests.wire.http_call import Api

SECRET = "the marmot sleeps in the seventh drawer"


class Line(socketserver.ThreadingTCPServer):
    """The line to a key service, which a test can cut.

    Attributes:
        cut: Whether whoever calls is hung up on.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.port = port
        self.cut = False


class Call(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Line)
        if self.server.cut:
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as other:
            back = threading.Thread(target=self.pump, args=(other, self.request), daemon=True)
            back.start()
            self.pump(self.request, other)
            back.join()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        assert isinstance(self.server, Line)
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not self.server.cut:
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def kms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsServer]:
    yield from KmsServer.running(tmp_path / "kms.log", monkeypatch)


@pytest.fixture
def line(kms: KmsServer) -> Iterator[Line]:
    with Line(kms.port) as line:
        threading.Thread(target=line.serve_forever, args=(0.01,), daemon=True).start()
        yield line
        line.shutdown()


def new_key(kms: KmsServer) -> str:
    """Make a key; Playwright's own loop is at work in this thread."""
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(asyncio.run(kms.new_key())))
    thread.start()
    thread.join()
    return made[0]


@pytest.fixture
def server(kms: KmsServer, line: Line, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose key service is reached over the line, and which keeps no key."""
    process = ServerProcess(
        tmp_path / "data",
        config=f'[vault]\nkms_key_id = "{new_key(kms)}"\ncache_seconds = 0\n',
        environ={
            **kms.environ,
            "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{line.server_address[1]}",
        },
    )
    process.start()
    yield process
    process.close()


def test_a_key_service_that_is_down_is_told_and_tried_again_by_itself(
    page: Page,
    line: Line,
    server: ServerProcess,
    seen: Seen,
) -> None:
    seen.expected += ["503"]
    api = Api(server, server.key)
    sign_in(page, api)
    page.get_by_role("button", name="New thread").click()
    page.get_by_label("First turn").fill(SECRET)
    page.get_by_label("Encrypt the turns").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text(SECRET)).to_be_visible()
    [thread] = api.page("/v1/threads")["data"]
    line.cut = True
    open_thread(page, api, thread["id"])
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.get_by_label("The turn's text").fill("more")
    page.get_by_role("button", name="Add turn").click()
    expect(page.get_by_role("status")).to_contain_text("cannot be reached")
    assert len(api.page(f"/v1/threads/{thread['id']}/messages")["data"]) == 1
    line.cut = False
    expect(page.get_by_text(SECRET)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("alert")).to_have_count(0)
