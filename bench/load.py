"""One load on one server: wrk drives it from the other core, and its report is read."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.servers import LOAD_CORE, Server

TURN = '{"role":"user","content":"What was my last question? I do not remember it at all."}'
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What is asked, again and again.

    Attributes:
        name: As the table calls it.
        method: HTTP's.
        paths: Asked in turn.
        body: Sent with each.
        connections: Open at once, each with one request on its way.
    """

    name: str
    method: str
    paths: tuple[str, ...]
    body: str = ""
    connections: int = 64


@dataclass(frozen=True)
class Measured:
    """What came of it; times in milliseconds."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def run(server: Server, load: Load, seconds: int, folder: Path) -> Measured:
    """Put one load on one server for some seconds.

    Raises:
        RuntimeError: An answer was not 200.
    """
    script = folder / "load.lua"
    script.write_text(_script(server, load))
    before = server.cpu_seconds()
    report = subprocess.run(
        [
            *("taskset", "-c", LOAD_CORE, "wrk", "--latency", "-t1"),
            *(f"-c{load.connections}", f"-d{seconds}s", "-s", str(script), server.base_url),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = server.cpu_seconds() - before
    if "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"{server.name}, {load.name}: {report}")
    return Measured(
        float(_found(r"Requests/sec:\s+([\d.]+)", report)),
        _milliseconds(_found(r"50%\s+(\S+)", report)),
        _milliseconds(_found(r"99%\s+(\S+)", report)),
        used * 1e6 / int(_found(r"(\d+) requests in", report)),
    )


def _script(server: Server, load: Load) -> str:
    paths = ",".join(f'"{path}"' for path in load.paths)
    return f"""
local paths = {{{paths}}}
local n = 0
wrk.method = "{load.method}"
wrk.body = [==[{load.body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {server.key}"
request = function()
  n = n + 1
  return wrk.format(nil, paths[(n * 7919) % #paths + 1])
end
"""


def _found(pattern: str, report: str) -> str:
    match = re.search(pattern, report)
    if match is None:
        raise RuntimeError(f"wrk reported: {report}")
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert match, text
    return float(match[1]) * _UNITS[match[2]]
