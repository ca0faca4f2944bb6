"""What a start costs: until the server is ready, until its first answer, and what it takes then."""

from __future__ import annotations

import http.client
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench import datasets, servers
from bench.loads import LIST_THREADS, LONG, LONG_MESSAGES, first_page
from bench.wrk import Request

_TRIES = 5


@dataclass(frozen=True)
class Start:
    """One start; medians where there were some.

    Attributes:
        ready_seconds: From the start of the process, Python included, until it takes requests.
        first_ms: What the first request took then, which opens catalogue and thread.
        memory_bytes: Resident in the end.
        busy_seconds: Until the server had nothing more to do by itself, half a second at least.
    """

    ready_seconds: float
    first_ms: float
    memory_bytes: float
    busy_seconds: float


@dataclass(frozen=True)
class Starts:
    """The starts that there are goals for.

    Attributes:
        empty: With one thread, which is empty.
        long_thread: With one thread of 100,000 messages, whose newest 20 are listed.
        catalogue: With many threads, of which the newest 20 are listed.
        threads: How many that are.
    """

    empty: Start
    long_thread: Start
    catalogue: Start
    threads: int

    @property
    def bytes_a_thread(self) -> float:
        return (self.catalogue.memory_bytes - self.empty.memory_bytes) / self.threads


def measure(folder: Path, threads: int) -> Starts:
    """Measure them all, in directories of their own."""
    return Starts(
        empty=_start(folder / "empty", 1, 0, LIST_THREADS),
        long_thread=_start(folder / "long", 1, LONG_MESSAGES, first_page(LONG)),
        catalogue=_start(folder / "catalogue", threads, 0, LIST_THREADS),
        threads=threads,
    )


def _start(folder: Path, threads: int, messages: int, first: Request) -> Start:
    data_dir = folder / "data"
    datasets.make(data_dir)
    datasets.write_organisation(data_dir, servers.ORG, threads=threads, files={1: messages})
    tries = [_try(folder, data_dir, first) for _ in range(_TRIES)]
    return Start(
        statistics.median(each.ready_seconds for each in tries),
        statistics.median(each.first_ms for each in tries),
        statistics.median(each.memory_bytes for each in tries),
        statistics.median(each.busy_seconds for each in tries),
    )


def _try(folder: Path, data_dir: Path, first: Request) -> Start:
    started = time.perf_counter()
    with servers.ours(folder, data_dir) as server:
        ready = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        asked = time.perf_counter()
        headers = {"Authorization": f"Bearer {server.key}"}
        connection.request(first.method, first.path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        answered = time.perf_counter()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the first answer after the start was {answer.status}")
        busy_seconds = server.settle()
        first_ms = (answered - asked) * 1000
        return Start(ready - started, first_ms, server.memory_bytes(), busy_seconds)
