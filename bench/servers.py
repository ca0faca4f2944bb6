"""The servers under load: processes on one core, each on a free port of the loopback interface."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT, SERVER_CORE
from ragen_actor.keyring import create_key

BARE, SQLITE, OURS = "bare aiohttp", "aiohttp + SQLite", "ragen-actor"
ORG = "bench"
TIER = "bench"
_CONFIG = f"[tiers]\n{TIER} = 1000000\n"
"""The rate limiter counts every request, and grants more than there will be."""

_START_SECONDS_MAX = 60.0
_SETTLE_SECONDS_MAX = 120.0
_SETTLE_LOOK_SECONDS = 0.5
_IDLE_SHARE = 0.05
_STOP_SECONDS_MAX = 120.0
_SYNC = re.compile(rb"RWF_DSYNC|(?:fsync|fdatasync|syncfs|msync)\(")


@dataclass
class Server:
    """One process.

    Attributes:
        name: As the tables call it.
        port: On 127.0.0.1.
        key: The API key to send; empty where none is asked for.
        process: The server itself.
        log: What it wrote to stdout and stderr.
        trace: The calls of it that made bytes last, if somebody wanted them counted.
    """

    name: str
    port: int
    key: str
    process: subprocess.Popen[bytes]
    log: Path
    trace: Path | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """What all its threads have used of the processor."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """What it has resident."""
        return int(self._proc("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Count its open files and connections."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def syncs(self) -> int:
        """Count the calls so far that made bytes last; it was started to be traced."""
        assert self.trace is not None
        return len(_SYNC.findall(self.trace.read_bytes()))

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask once; an answer other than 200 is an error."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def settle(self) -> float:
        """Wait until it has nothing more to do by itself, and return the seconds that it took."""
        started = time.monotonic()
        used = self.cpu_seconds()
        while time.monotonic() < started + _SETTLE_SECONDS_MAX:
            time.sleep(_SETTLE_LOOK_SECONDS)
            before, used = used, self.cpu_seconds()
            if used - before <= _IDLE_SHARE * _SETTLE_LOOK_SECONDS:
                break
        return time.monotonic() - started

    def pause(self) -> None:
        """Stand still, so that what it does in the background is charged to its own turns."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it well.

        Raises:
            RuntimeError: It ended otherwise.
        """
        self.resume()
        self.process.terminate()
        try:
            code = self.process.wait(_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"{self.name} did not stop:\n{self.log_tail()}") from None
        if code not in (0, -signal.SIGTERM):
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.log_tail()}")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """Run the bare handler; the files that it makes are put into the folder."""
    command = [sys.executable, "-m", "bench.bare"]
    with _running(BARE, command, folder, (str(folder / "files"),)) as server:
        yield server


@contextmanager
def sqlite(folder: Path, database: Path, *, traced: bool = False) -> Iterator[Server]:
    """Run the reference on a database."""
    command = [sys.executable, "-m", "bench.sqlite_reference"]
    with _running(SQLITE, command, folder, (str(database),), traced=traced) as server:
        yield server


@contextmanager
def ours(
    folder: Path,
    data_dir: Path,
    *,
    org: str = ORG,
    config: str = "",
    traced: bool = False,
) -> Iterator[Server]:
    """Run this project's server on a data directory, with a new key of an organisation.

    Args:
        folder: For its configuration and its log.
        data_dir: It exists.
        org: Whose key it is.
        config: Sections of its configuration besides the key's tier.
        traced: Whether its syncs are to be counted.
    """
    written = folder / "config.toml"
    written.write_text(_CONFIG + config)
    command = [sys.executable, "-m", "ragen_actor", "serve", "--port"]
    options = ("--data-dir", str(data_dir), "--config", str(written))
    key = new_key(data_dir, org)
    with _running(OURS, command, folder, options, key=key, traced=traced) as server:
        yield server


def new_key(data_dir: Path, org: str) -> str:
    """Make a key of an organisation, before the server starts."""
    return create_key(data_dir, org, "bench", TIER, "", time.time())[0]


@contextmanager
def _running(
    name: str,
    command: Sequence[str],
    folder: Path,
    options: Sequence[str] = (),
    *,
    key: str = "",
    traced: bool = False,
) -> Iterator[Server]:
    """Start a process and end it, the port standing between command and options."""
    os.sync()  # What was written to prepare is not to be on its way to the disk meanwhile.
    port, log = _free_port(), folder / f"{name}.log"
    trace = folder / f"{name}.trace" if traced else None
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_tracing(trace), "taskset", "-c", SERVER_CORE, *command, str(port), *options],
            cwd=ROOT,
            env={name: text for name, text in os.environ.items() if not name.startswith("RAGEN_")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops the servers.
        )
    server = Server(name, port, key, process, log, trace)
    try:
        _wait_until_ready(server)
        yield server
    except BaseException:
        if process.poll() is None:
            server.resume()
            process.kill()
        process.wait()
        raise
    server.stop()


def _tracing(trace: Path | None) -> list[str]:
    """Return what has the syncs of a command written down.

    The filter runs in the kernel, so that all other calls are as quick as ever.
    """
    if trace is None:
        return []
    calls = "fsync,fdatasync,syncfs,msync,pwritev2"
    return [
        *("strace", "-D", "-f", "-qq", "--seccomp-bpf"),
        "-e",
        f"trace={calls}",
        "-o",
        str(trace),
    ]


def _wait_until_ready(server: Server) -> None:
    """Wait for the first answer, whatever it is; ours answers 200 on /readyz once it can write."""
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline and server.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status != 503:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.002)
    raise RuntimeError(f"{server.name} did not start:\n{server.log_tail()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
