"""Print what a request costs here, as a ratio to a bare aiohttp handler in the same run.

    python -m bench [--rounds N] [--seconds N]

Each round puts the same load on each server in turn, so that all of them see the same machine; the
table shows medians over the rounds. The server runs on one core, wrk on another.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import servers
from bench.load import TURN, Load, Measured, run
from bench.servers import ROOT, Server

THREADS = 64
TURNS = 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each load (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="of each run (default: 3)")
    arguments = parser.parse_args()
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            print(f"make bench needs {program}: apt-get install {package}", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
        report = measure(Path(folder), arguments.rounds, arguments.seconds)
    print(report)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    (results / time.strftime("%Y-%m-%d.md")).write_text(report)
    return 0


def measure(folder: Path, rounds: int, seconds: int) -> str:
    """Run every load and return the report, as Markdown."""
    floor, reference, ours = servers.bare(), servers.sqlite(folder), servers.ours(folder)
    try:
        idle_mib = ours.memory_mib()
        rows = []
        for load, compared in loads(ours, reference):
            rows.append(row(load, floor, compared, rounds, seconds, folder))
            print(rows[-1], file=sys.stderr, flush=True)
        memory = f"{idle_mib:.0f} MiB idle, {ours.memory_mib():.0f} MiB after the loads"
    finally:
        for server in (floor, reference, ours):
            server.stop()
    return "\n".join(
        (
            f"# {time.strftime('%Y-%m-%d')}",
            "",
            f"{machine()}. `make bench`: {rounds} rounds of {seconds} s; medians.",
            f"ragen-actor: key check, rate limiter and durability on; {memory}.",
            "",
            "| load | server | of the bare handler | requests/s | p50 ms | p99 ms | CPU µs |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        )
    )


def loads(ours: Server, reference: Server) -> list[tuple[Load, list[Server]]]:
    """Make the threads that the loads are about; say which servers take which load."""
    turn = json.loads(TURN)
    body = json.dumps({"messages": [turn] * TURNS}).encode()
    threads = [json.loads(ours.call("POST", "/v1/threads", body))["id"] for _ in range(THREADS)]
    messages = tuple(f"/v1/threads/{each}/messages" for each in threads)
    for path in messages:
        for _ in range(20):
            reference.call("POST", path, TURN.encode())
    one = json.loads(ours.call("GET", messages[0] + "?limit=1"))["first_id"]
    both, alone = [ours, reference], [ours]
    return [
        (Load("append, 64 connections", "POST", messages, TURN, 64), both),
        (Load("append, 16 connections", "POST", messages, TURN, 16), both),
        (Load("append, 1 connection", "POST", messages, TURN, 1), both),
        (Load("list of 20, 16 connections", "GET", messages, "", 16), both),
        (Load("get one, 16 connections", "GET", (f"{messages[0]}/{one}",), "", 16), alone),
        (Load("create, 16 connections", "POST", ("/v1/threads",), "{}", 16), alone),
    ]


def row(
    load: Load, floor: Server, compared: list[Server], rounds: int, seconds: int, folder: Path
) -> str:
    """Measure one load on the floor and on each server in turn, and return its lines."""
    bare_body = load.body if load.body == TURN else ""
    bare = Load(load.name, load.method, ("/v1/threads/x/messages",), bare_body, load.connections)
    found: dict[str, list[Measured]] = {each.name: [] for each in (floor, *compared)}
    ratios: dict[str, list[float]] = {each.name: [] for each in (floor, *compared)}
    for _ in range(rounds):
        base = run(floor, bare, seconds, folder)
        for server in (floor, *compared):
            measured = base if server is floor else run(server, load, seconds, folder)
            found[server.name].append(measured)
            ratios[server.name].append(measured.requests_per_second / base.requests_per_second)
    return "\n".join(
        f"| {load.name} | {name} | **{statistics.median(ratios[name]):.2f}** | "
        f"{median(found[name], 'requests_per_second'):.0f} | {median(found[name], 'p50_ms'):.2f} | "
        f"{median(found[name], 'p99_ms'):.2f} | {median(found[name], 'cpu_us'):.0f} |"
        for name in found
    )


def median(found: list[Measured], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in found))


def machine() -> str:
    """Say what this ran on."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return f"{cpu[1] if cpu else platform.machine()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
