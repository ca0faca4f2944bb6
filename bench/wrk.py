"""One load on one server: wrk drives it from the other core."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import bare
from bench.machine import LOAD_CORE
from bench.servers import Server

_SCRIPT = Path(__file__).with_suffix(".lua")
_TIMEOUT_SECONDS = 30  # A noisy machine is slow, and that is no error.


class BadAnswers(Exception):
    """Not every answer was a 200: what was measured means nothing."""


class Request(NamedTuple):
    """What is asked; the body is JSON without line ends, empty for a GET."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Load:
    """What is asked again and again, in this order.

    Attributes:
        name: As the table calls it.
        requests: Asked in turn.
        connections: Open at once, each with one request on its way.
        goal: What its ratio to the bare handler should reach; None where there is none.
        times_sqlite: What its ratio to the reference should reach.
        warm: Whether each request is sent once before it counts, to open many threads' files.
    """

    name: str
    requests: tuple[Request, ...]
    connections: int
    goal: float | None = None
    times_sqlite: float = 1.0
    warm: bool = False

    @property
    def writes(self) -> bool:
        return any(each.method != "GET" for each in self.requests)

    def for_bare(self, path: str = bare.PATH) -> Load:
        """Return the same methods and bodies for a path of the bare handler."""
        requests = tuple(each._replace(path=path) for each in self.requests)
        return Load(self.name, requests, self.connections)


class _Report(msgspec.Struct, frozen=True):
    """What wrk.lua prints at the end."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int


@dataclass(frozen=True)
class Measured:
    """What came of a load.

    Attributes:
        requests: Answered.
        seconds: That it took.
        p50_ms: Half of them were quicker, in milliseconds.
        p99_ms: All but a hundredth of them.
        cpu_us: Of the server's processor time a request, in microseconds.
        errors: Answers other than 200, broken and silent connections.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run(server: Server, load: Load, seconds: int, folder: Path) -> Measured:
    """Put a load on a server for some seconds.

    Args:
        server: It runs.
        load: As it is meant for this server.
        seconds: Whole ones, 1 or more.
        folder: Where the requests are written down for wrk.

    Raises:
        BadAnswers: There was an answer other than 200, or none.
    """
    measured = observe(server, load, seconds, folder)
    if measured.errors or not measured.requests:
        said = f"{measured.errors} of {measured.requests} requests failed"
        if not measured.requests:
            said = f"nobody was answered within {seconds} s"
        raise BadAnswers(
            f"{server.name}, {load.name}: {said}; its log ends with:\n{server.log_tail()}"
        )
    return measured


def observe(server: Server, load: Load, seconds: int, folder: Path) -> Measured:
    """Do the same, and count bad answers instead of raising."""
    listed = folder / "requests.tsv"
    _write(listed, load.requests)
    command = [
        *("taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s"),
        *("--timeout", f"{_TIMEOUT_SECONDS}s", "-s", str(_SCRIPT), server.base_url),
        *("--", str(listed), f"Bearer {server.key}"),
    ]
    before = server.cpu_seconds()
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    used = server.cpu_seconds() - before
    if ran.returncode != 0:
        raise BadAnswers(f"wrk failed: {ran.stdout}{ran.stderr}")
    report = msgspec.json.decode(ran.stdout.splitlines()[-1], type=_Report)
    return Measured(
        report.requests,
        report.seconds,
        report.p50_ms,
        report.p99_ms,
        used * 1e6 / max(1, report.requests),
        report.refused + report.broken,
    )


def _write(path: Path, requests: Sequence[Request]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines("\t".join(each) + "\n" for each in requests)
