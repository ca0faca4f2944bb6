"""A server process under strace, which makes system calls fail, or ends it at one of them."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.faults.ledger import Found, read_back
from tests.faults.plain_http import PlainClient, Reply
from tests.server_process import ROOT, ServerProcess, _environment

ATTACH_SECONDS_MAX = 10.0
READY_AGAIN_SECONDS_MAX = 20.0
_LOOK_SECONDS = 0.02
TINY = """
[server]
body_bytes_max = 65536
[storage]
journal_segment_bytes = 131072
checkpoint_seconds = 0.3
disk_reserve_bytes = 0
"""
"""Segments so small that they are full, made durable and used again all the time."""


class FaultyServer(ServerProcess):
    """A server whose system calls can be made to fail.

    Attributes:
        injected: Calls that were made to fail so far.
    """

    injected = 0

    def client(self) -> PlainClient:
        """Return a client that does not retry."""
        return PlainClient(self.port, self.key)

    def found(self, key: str = "") -> list[Found]:
        """Return all that its organisation has, asked for with its own key or another."""
        with closing(PlainClient(self.port, key or self.key)) as client:
            return read_back(client)

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Send one request, on a connection of its own."""
        with closing(self.client()) as client:
            return client.ask(method, path, body)

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def wait_until_dead(self, seconds: float = 30.0) -> None:
        """Return when the process has ended by itself or by a signal that is on its way."""
        assert self._process is not None
        self._process.wait(seconds)
        self._reap()

    @contextmanager
    def faults(self, *rules: str) -> Iterator[None]:
        """Make system calls fail within a block, as `fdatasync:error=EIO:when=1..3`.

        strace counts the calls of each thread by itself. Leaving the block ends the fault.
        """
        trace = self.data_dir.with_suffix(".strace")
        tracer = subprocess.Popen(
            [*strace(trace, rules), "-p", str(self.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        attached = threading.Event()
        said: list[str] = []

        def read() -> None:
            assert tracer.stderr is not None
            with tracer.stderr:
                for line in tracer.stderr:
                    said.append(line)
                    if "attached" in line:
                        attached.set()
            attached.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            assert attached.wait(ATTACH_SECONDS_MAX), "strace did not attach"
            assert any("attached" in line for line in said), said
            yield
        finally:
            with suppress(ProcessLookupError):
                tracer.send_signal(signal.SIGINT)
            tracer.wait(ATTACH_SECONDS_MAX)
            reader.join()
            self.injected += len(re.findall(r"\(INJECTED\)|\(DELAYED\)", trace.read_text()))

    def wait_until_injected(self, seconds: float = 30.0) -> None:
        """Return when a rule has made a call fail, within a block of `faults`."""
        trace = self.data_dir.with_suffix(".strace")
        deadline = time.monotonic() + seconds
        while "(INJECTED)" not in trace.read_text():
            assert time.monotonic() < deadline, "nobody called what was to fail"
            threading.Event().wait(_LOOK_SECONDS)

    def start_to_die(self, *rules: str, seconds: float | None = None) -> bool:
        """Start it under rules of which one is to kill it, or for so many seconds.

        Returns:
            Whether it died of a rule; otherwise it was killed here.
        """
        trace = self.data_dir.with_suffix(".strace")
        command = [*self._command("serve"), "--host", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen(
            [*(strace(trace, rules) if rules else ()), *command],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        lines: list[str] = []
        ready = threading.Event()

        def read() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    lines.append(line)
                    if "ready after" in line:
                        ready.set()
            ready.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        ready.wait(20.0 if seconds is None else seconds)
        died = process.poll() is not None or "ready after" not in "".join(lines)
        if rules and died:
            process.wait(5)
        else:
            died = False
            kill_session(process)
        reader.join()
        self._lines += lines
        return died

    def readiness(self) -> tuple[int, str]:
        """Ask whether it takes writes; return the status and what it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body: Any = json.loads(response.read())
            return response.status, str(body.get("error", {}).get("message", ""))
        finally:
            connection.close()

    def wait_until_readiness_is(
        self, status: int, *, seconds: float = READY_AGAIN_SECONDS_MAX
    ) -> str:
        """Return what it says when it first answers so; nobody writes in the meantime."""
        deadline = time.monotonic() + seconds
        while True:
            found, why = self.readiness()
            if found == status:
                return why
            assert time.monotonic() < deadline, f"still {found} after {seconds} s: {why}"
            threading.Event().wait(_LOOK_SECONDS)

    def wait_for_log(self, text: str, *, seconds: float = 20.0) -> None:
        """Return when its log holds a text."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} is not in its log:\n{self.log}"
            threading.Event().wait(_LOOK_SECONDS)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Run `ragen-actor check` on its data directory."""
        return check(self.data_dir)


def check(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run `ragen-actor check` on a data directory."""
    return subprocess.run(
        [sys.executable, "-m", "ragen_actor", "check", "--data-dir", str(data_dir)],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def strace(trace: Path, rules: tuple[str, ...]) -> list[str]:
    """Return the command that puts rules on a process, to be completed by which."""
    found = shutil.which("strace")
    assert found is not None, "these tests need strace: apt-get install strace"
    calls = ",".join(sorted({rule.partition(":")[0] for rule in rules}))
    injections = [word for rule in rules for word in ("-e", f"inject={rule}")]
    return [found, "-f", "-o", str(trace), "-e", f"trace={calls}", *injections]


def kill_session(process: subprocess.Popen[str]) -> None:
    """End a process that leads a session of its own, and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
