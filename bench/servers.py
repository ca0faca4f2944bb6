"""The three servers under load: each on a free port of the loopback interface, on one core."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE, LOAD_CORE = "0", "1"
START_SECONDS_MAX = 20.0


@dataclass
class Server:
    """One process.

    Attributes:
        name: As the table calls it.
        port: On 127.0.0.1.
        key: The API key to send; empty where none is asked for.
    """

    name: str
    port: int
    key: str
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """What all its threads have used of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """What it has resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def bare() -> Server:
    port = _free_port()
    return _started("bare aiohttp", port, "", [sys.executable, "-m", "bench.bare", str(port)])


def sqlite(folder: Path) -> Server:
    port = _free_port()
    command = [sys.executable, "-m", "bench.sqlite_reference", str(port), str(folder / "sqlite.db")]
    return _started("aiohttp + SQLite", port, "", command)


def ours(folder: Path) -> Server:
    port = _free_port()
    data_dir = str(folder / "data")
    program = [sys.executable, "-m", "ragen_actor"]
    owner = ["--org", "bench", "--project", "bench", "--tier", "unlimited"]
    key = subprocess.run(
        [*program, "keys", "create", *owner, "--data-dir", data_dir],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    command = [*program, "serve", "--port", str(port), "--data-dir", data_dir]
    server = _started("ragen-actor", port, key, command)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            server.call("GET", "/readyz")
            return server
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server is not ready")


def _started(name: str, port: int, key: str, command: list[str]) -> Server:
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Server(name, port, key, process)
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"{name} did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
