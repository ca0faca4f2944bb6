"""Print what passing a request on adds: time, as a median of differences, and CPU a request.

    python -m bench.upstream [--requests N]

The same request goes to a small upstream directly and through the server, in turn and over one
connection each, so that both see the same machine. A second load streams to many clients at once.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench import servers
from bench.machine import ROOT, require

BODY = b'{"model":"m","messages":[{"role":"user","content":"What was my last question?"}]}'
ANSWER = b'{"id":"c","object":"chat.completion","choices":[{"text":"' + b"y" * 440 + b'"}]}'
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
EVENTS, STREAMS = 100, 200
WHOLE, STREAM = "/v1/chat/completions", "/v1/responses"
WARM_UP = 200
START_SECONDS_MAX = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream")
    parser.add_argument("--requests", type=int, default=2000, help="of each kind (default: 2000)")
    parser.add_argument("--serve", type=int, metavar="PORT", help="be the upstream")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    require("taskset")
    port = free_port()
    upstream = subprocess.Popen([sys.executable, "-m", "bench.upstream", "--serve", str(port)])
    try:
        wait_for(port)
        with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder:
            measure(Path(folder), port, arguments.requests)
    finally:
        upstream.terminate()
        upstream.wait()
    return 0


def measure(folder: Path, port: int, requests: int) -> None:
    """Start the server before the upstream, ask both, and print the table."""
    rates = f"[generation_tiers]\n{servers.TIER} = 1000000\n"
    config = f'[upstream]\nbase_url = "http://127.0.0.1:{port}/v1"\n{rates}'
    (folder / "data").mkdir()
    with servers.ours(folder, folder / "data", config=config) as ours:
        print("| load | direct ms | through ms | added ms | CPU µs a request |")
        print("|---|---|---|---|---|")
        print(one_by_one(port, ours, requests))
        before = ours.memory_bytes()
        print(at_once(port, ours))
        grown = (ours.memory_bytes() - before) / 2**20
        print(f"\n{STREAMS} streams took {grown:.0f} MiB of memory.")


def one_by_one(port: int, ours: servers.Server, requests: int) -> str:
    """Ask directly and through the server in turn; return a row of the table."""
    direct = http.client.HTTPConnection("127.0.0.1", port)
    through = http.client.HTTPConnection("127.0.0.1", ours.port)
    times: list[tuple[float, float]] = []
    used = 0.0
    for number in range(WARM_UP + requests):
        if number == WARM_UP:
            used = ours.cpu_seconds()
        times.append((asked(direct, ""), asked(through, ours.key)))
    cpu_us = (ours.cpu_seconds() - used) * 1e6 / requests
    times = times[WARM_UP:]
    medians = [
        statistics.median(values) * 1000
        for values in (
            [theirs for theirs, _ in times],
            [mine for _, mine in times],
            [mine - theirs for theirs, mine in times],
        )
    ]
    numbers = " | ".join(f"{median:.3f}" for median in medians)
    return f"| whole answer, 1 connection | {numbers} | {cpu_us:.0f} |"


def asked(connection: http.client.HTTPConnection, key: str) -> float:
    """Send one request; return how many seconds its answer took."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    started = time.perf_counter()
    connection.request("POST", WHOLE, BODY, headers)
    answer = connection.getresponse()
    got = answer.read()
    seconds = time.perf_counter() - started
    if got != ANSWER:
        raise RuntimeError(f"{answer.status}: {got[:200]!r}")
    return seconds


def at_once(port: int, ours: servers.Server) -> str:
    """Stream to many clients at once, directly and through the server; return a row."""
    used = ours.cpu_seconds()
    through = asyncio.run(streamed(ours.base_url, ours.key)) * 1000
    cpu_us = (ours.cpu_seconds() - used) * 1e6 / STREAMS
    direct = asyncio.run(streamed(f"http://127.0.0.1:{port}", "")) * 1000
    numbers = f"{direct:.0f} | {through:.0f} | {through - direct:.0f} | {cpu_us:.0f}"
    return f"| {EVENTS} events to each of {STREAMS} at once, all of it | {numbers} |"


async def streamed(base_url: str, key: str) -> float:
    """Ask for all streams at once; return the seconds until the last has ended."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(
        base_url, connector=aiohttp.TCPConnector(limit=0), headers=headers
    ) as session:

        async def stream() -> None:
            async with session.post(STREAM, data=BODY) as answer:
                if await answer.read() != EVENT * EVENTS:
                    raise RuntimeError(f"{answer.status}")

        started = time.perf_counter()
        await asyncio.gather(*[stream() for _ in range(STREAMS)])
        return time.perf_counter() - started


def serve(port: int) -> None:
    """Be an upstream that costs as little as it can."""

    async def whole(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    async def stream(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(EVENTS):
            await response.write(EVENT)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_post(WHOLE, whole)
    app.router.add_post(STREAM, stream)
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(app, host="127.0.0.1", port=port, **options)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the upstream did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
