"""What was measured, as Markdown: one row a load, its goal, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.loads import CREATED
from bench.rounds import Rounds, Spread
from bench.servers import BARE, OURS, SQLITE
from bench.starting import Starts
from bench.wrk import Load

ALONE_MS_MAX = 0.3
COPIED_TIMES_MAX = 3.0
FIRST_MS_MAX = 5.0
READY_SECONDS_MAX = 1.0
BYTES_A_THREAD_MAX = 64
THREADS_MIN = 1_000_000
"""Fewer threads take too little memory to tell it from noise."""

RATIOS = "## Against a bare handler"
_MIB = 2**20

_READING = """
A ratio is that of requests a second, within the same round: the median of the rounds, with the
quartiles. The bare handler gets the same method, body and number of connections on one static
route, decodes a POST's body into typed fields and answers 480 bytes. The reference syncs as
strictly, asks for no key and counts no requests. Here the key check, the rate limiter and the syncs
are on. CPU is what the server's process used for one request, in microseconds, its background work
included. Syncs are counted in a run of their own, those of checkpoints among them."""


@dataclass
class Findings:
    """All that a run of `make bench` found out.

    Attributes:
        loads: In the order of the table.
        rounds: What they came to.
        syncs: A request, by server and load; empty where they were not counted.
        memory: Resident at the end, in bytes, by server.
        starts: What starts cost; None if only some loads were asked for.
        seconds: Of one load on one server.
    """

    loads: Sequence[Load]
    rounds: Rounds
    seconds: int
    syncs: dict[str, dict[str, float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    starts: Starts | None = None


def render(findings: Findings, date: str, machine: str) -> str:
    """Return the whole report."""
    rounds, limits = findings.rounds, _limits(findings)
    parts = [
        f"# {date}",
        "",
        machine,
        f"- {rounds.count} rounds of {findings.seconds} s for each load and server; one process "
        "each, on one core, the load on another",
        "",
        RATIOS,
        "",
        *_table(
            "load | of the bare handler | goal | met | of SQLite | met | p50 ms | p99 ms | CPU µs "
            "| syncs a request",
            [_ratio_row(load, findings) for load in findings.loads],
        ),
        "",
        *(["## Limits", "", *_table("what | measured | goal | met", limits)] if limits else []),
        _READING,
        "",
        "## Every server",
        "",
        *_table(
            "load | server | requests/s | p50 ms | p99 ms | CPU µs | syncs a request",
            [row for load in findings.loads for row in _server_rows(load, findings)],
        ),
        "",
        "Memory after the loads: "
        + ", ".join(f"{name} {size / _MIB:.0f} MiB" for name, size in findings.memory.items())
        + ".",
        "",
    ]
    return "\n".join(parts)


def _table(heads: str, rows: Sequence[Sequence[str]]) -> list[str]:
    count = heads.count("|") + 1
    return [f"| {heads} |", "|---" * count + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _ratio_row(load: Load, findings: Findings) -> list[str]:
    rounds = findings.rounds
    floor, times = (rounds.ratio(load.name, OURS, to) for to in (BARE, SQLITE))
    return [
        load.name,
        _spread(floor),
        "" if load.goal is None else f"≥ {load.goal:.2f}",
        "" if load.goal is None else _met(floor.median >= load.goal),
        f"{times.median:.2f} (≥ {load.times_sqlite:g})",
        _met(times.median >= load.times_sqlite),
        f"{rounds.median(load.name, OURS, lambda each: each.p50_ms):.2f}",
        f"{rounds.median(load.name, OURS, lambda each: each.p99_ms):.2f}",
        f"{rounds.median(load.name, OURS, lambda each: each.cpu_us):.0f}",
        _syncs(load, OURS, findings),
    ]


def _server_rows(load: Load, findings: Findings) -> list[list[str]]:
    rounds = findings.rounds
    return [
        [
            load.name,
            name,
            f"{rounds.median(load.name, name, lambda each: each.rate):.0f}",
            f"{rounds.median(load.name, name, lambda each: each.p50_ms):.2f}",
            f"{rounds.median(load.name, name, lambda each: each.p99_ms):.2f}",
            f"{rounds.median(load.name, name, lambda each: each.cpu_us):.0f}",
            _syncs(load, name, findings),
        ]
        for name in (OURS, BARE, SQLITE)
    ]


def _limits(findings: Findings) -> list[list[str]]:
    """Return the rows of the goals that are no ratios."""
    rounds, starts = findings.rounds, findings.starts
    rows = []
    if rounds.alone_ms:
        pairs = zip(rounds.alone_ms, rounds.journal_ms, strict=False)
        more = Spread.of([mine - floor for mine, floor in pairs])
        floor = statistics.median(rounds.journal_ms)
        rows.append(
            [
                f"an append on 1 connection, beyond one journal sync ({floor:.2f} ms)",
                f"{_spread(more)} ms",
                f"≤ {ALONE_MS_MAX} ms",
                _met(more.median <= ALONE_MS_MAX),
            ]
        )
    if rounds.copied_p99_ms:
        pairs = zip(rounds.copied_p99_ms, rounds.calm_p99_ms, strict=True)
        times = Spread.of([disturbed / calm for disturbed, calm in pairs])
        calm_ms, copied_ms = map(statistics.median, (rounds.calm_p99_ms, rounds.copied_p99_ms))
        rows.append(
            [
                f"p99 of appends during `cp -a` ({copied_ms:.1f} ms) to that without "
                f"({calm_ms:.1f} ms), {rounds.copies} copies",
                f"{_spread(times)} times",
                f"≤ {COPIED_TIMES_MAX:g} times",
                _met(times.median <= COPIED_TIMES_MAX),
            ]
        )
    if rounds.file_rates:
        rows.append(_floor_row(rounds))
    return rows + (_start_rows(starts) if starts is not None else [])


def _floor_row(rounds: Rounds) -> list[str]:
    """Return what a file for each thread leaves of the bare handler's rate."""
    files, measured = rounds.file_rates, rounds.measured[CREATED]
    floor = [rate / bare.rate for rate, bare in zip(files, measured[BARE], strict=False)]
    of_it = [ours.rate / rate for rate, ours in zip(files, measured[OURS], strict=False)]
    return [
        "a bare handler that also makes a small file for each request and does not sync it, of "
        f"the bare handler; a create comes to {_spread(Spread.of(of_it))} of that",
        _spread(Spread.of(floor)),
        "",
        "",
    ]


def _start_rows(starts: Starts) -> list[list[str]]:
    first, ready = starts.long_thread.first_ms, starts.catalogue.ready_seconds
    enough = starts.threads >= THREADS_MIN
    return [
        [
            "thread of 100,000 messages: first request after a start",
            f"{first:.1f} ms",
            f"< {FIRST_MS_MAX:g} ms",
            _met(first < FIRST_MS_MAX),
        ],
        [
            f"{starts.threads:,} threads: start of the process until it is ready "
            f"(empty: {starts.empty.ready_seconds:.2f} s); the first list took "
            f"{starts.catalogue.first_ms:.0f} ms more, and it was busy by itself for another "
            f"{starts.catalogue.busy_seconds:.1f} s",
            f"{ready:.2f} s",
            f"< {READY_SECONDS_MAX:g} s",
            _met(ready < READY_SECONDS_MAX),
        ],
        [
            f"{starts.threads:,} threads: memory for each, once listed",
            f"{starts.bytes_a_thread:.0f} bytes" if enough else "only with FULL=1",
            f"≤ {BYTES_A_THREAD_MAX} bytes",
            _met(starts.bytes_a_thread <= BYTES_A_THREAD_MAX) if enough else "",
        ],
    ]


def _spread(found: Spread) -> str:
    return f"**{found.median:.2f}** ({found.low:.2f} to {found.high:.2f})"


def _met(met: bool) -> str:
    return "yes" if met else "**no**"


def _syncs(load: Load, server: str, findings: Findings) -> str:
    counted = findings.syncs.get(server, {}).get(load.name)
    return "" if counted is None else f"{counted:.3f}"
