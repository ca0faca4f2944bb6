"""A real server process on a real port with real files, for tests that want no less."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragen_actor.keyring import create_key

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 20.0
_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class KeyOwner:
    """Whom an API key stands for, and how fast it may ask."""

    org: str = "acme"
    project: str = "web"
    tier: str = "unlimited"


class ServerProcess:
    """One `ragen-actor serve` on one data directory, that can be killed and started again.

    Attributes:
        data_dir: Its data directory, which outlives every process.
        port: The port it listens on; the same after a restart. 0 before the first start.
        key: A key of organisation `acme`, project `web`, with no rate limit.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        config: str = "",
        owners: Iterable[KeyOwner] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self._environ = dict(environ or {})
        self.port = 0
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._config = data_dir.with_suffix(".toml")
        self._config.write_text(config)
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        owner = KeyOwner()
        options = ("--org", owner.org, "--project", owner.project, "--tier", owner.tier)
        self.key = self.keys_command("create", *options).strip()
        # The others come from where the command has them too, without a Python started for each.
        self.keys = {owner: self.key} | {
            owner: create_key(data_dir, owner.org, owner.project, owner.tier, "", time.time())[0]
            for owner in owners
        }

    @property
    def base_url(self) -> str:
        """What a client of OpenAI takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self) -> str:
        """All that its processes have written to stdout and stderr so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, of itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and return when it answers that it is ready."""
        assert not self.alive, "it already runs"
        process = subprocess.Popen(
            [*self._command("serve"), "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=ROOT,
            env=_environment() | self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        listening = threading.Event()
        self._process = process
        self._reader = threading.Thread(target=self._read, args=(process, listening), daemon=True)
        self._reader.start()
        if not listening.wait(READY_SECONDS_MAX) or not self.alive:
            self.kill()
            raise AssertionError(f"the server did not come up:\n{self.log}")
        self._wait_until_ready()

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut of the process would."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def terminate(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._reap()

    def restart(self) -> None:
        """Start it again on the same directory and port, after `kill` or `terminate`."""
        self.start()

    def close(self) -> None:
        """End it if it still runs, and insist that it ends well and never failed inside."""
        if not self.alive:
            return
        code = self.terminate()
        assert code == 0, f"SIGTERM ended it with {code}:\n{self.log}"
        assert "Traceback" not in self.log, self.log

    def keys_command(self, *words: str) -> str:
        """Run `ragen-actor keys` with these words, and return what it prints on stdout."""
        ran = subprocess.run(
            self._command("keys", *words),
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=READY_SECONDS_MAX,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def _command(self, *words: str) -> list[str]:
        paths = ["--data-dir", str(self.data_dir), "--config", str(self._config)]
        return [sys.executable, "-m", "ragen_actor", *words, *paths]

    def _read(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._lines.append(line)
                if found := _LISTENING.search(line):
                    self.port = int(found[1])
                    listening.set()
        listening.set()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
            assert time.monotonic() < deadline, f"the server did not get ready:\n{self.log}"
            time.sleep(0.01)

    def _reap(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        try:
            code = self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join(STOP_SECONDS_MAX)
        return code


def _environment() -> dict[str, str]:
    """The environment without settings of the developer's own server."""
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith(("RAGEN_", "AWS_"))
    }
    return kept | {"PYTHONUNBUFFERED": "1"}
