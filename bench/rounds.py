"""Every load on every server, in turns, and what the rounds have in common.

The machine is never the same for a minute. So each round asks all servers the same within seconds,
in another order each time, and what counts is the median of the rounds' own ratios. A server that
is not asked stands still: what it still has to do is charged to itself.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.bare import FILE_PATH, PATH
from bench.disk import JournalFile, copied
from bench.loads import COPIED, CREATED
from bench.servers import BARE, Server
from bench.touching import send_all
from bench.wrk import Load, Measured, run


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return that of one value or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)


@dataclass
class Rounds:
    """What was measured, by load and server, one entry a round.

    Attributes:
        measured: By the load's name and then the server's.
        journal_ms: One durable write of the journal, beside each round of one connection.
        alone_ms: The median latency of an append on that one connection.
        calm_p99_ms: Of `COPIED`, in rounds without a copy.
        copied_p99_ms: Of the same load in the same rounds, while the directory was copied.
        copies: Made meanwhile.
        file_rates: Requests a second of a bare handler that makes a file for each.
    """

    measured: dict[str, dict[str, list[Measured]]] = field(default_factory=dict)
    journal_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    calm_p99_ms: list[float] = field(default_factory=list)
    copied_p99_ms: list[float] = field(default_factory=list)
    copies: int = 0
    file_rates: list[float] = field(default_factory=list)

    def ratio(self, load: str, server: str, to: str) -> Spread:
        """Compare two servers' rates under a load, round by round."""
        found = self.measured[load]
        return Spread.of(
            [mine.rate / its.rate for mine, its in zip(found[server], found[to], strict=True)]
        )

    def median(self, load: str, server: str, value: Callable[[Measured], float]) -> float:
        return statistics.median(map(value, self.measured[load][server]))

    @property
    def count(self) -> int:
        """Whole rounds."""
        return min(
            (len(found) for by_server in self.measured.values() for found in by_server.values()),
            default=0,
        )

    def cut(self) -> None:
        """Forget what belongs to a round that was broken off."""
        count = self.count
        for by_server in self.measured.values():
            for found in by_server.values():
                del found[count:]


@dataclass(frozen=True)
class Field:
    """Where the rounds take place.

    Attributes:
        servers: The bare handler, the reference and ours, in any order; all are paused.
        ours: One of them.
        data_dir: Ours.
        folder: For files of the benchmark itself.
        seconds: Of one load on one server.
    """

    servers: tuple[Server, ...]
    ours: Server
    data_dir: Path
    folder: Path
    seconds: int


def play(where: Field, loads: Sequence[Load], count: int) -> Rounds:
    """Play some rounds; Ctrl-C ends them early, with the whole rounds that there are.

    Raises:
        BadAnswers: Somebody answered other than 200.
    """
    rounds = Rounds({load.name: {each.name: [] for each in where.servers} for load in loads})
    journal = JournalFile(where.folder)
    try:
        for server in where.servers:
            server.resume()
            warm_up(server, loads)
            server.pause()
        for number in range(count):
            for place, load in enumerate(loads):
                _tell(f"round {number + 1} of {count}: {load.name}")
                if load.connections == 1 and load.writes:
                    rounds.journal_ms.append(journal.sync_ms())
                for name, measured in _each(where, load, number + place, where.seconds):
                    rounds.measured[load.name][name].append(measured)
                    if load.connections == 1 and load.writes and name == where.ours.name:
                        rounds.alone_ms.append(measured.p50_ms)
                if load.name == COPIED:
                    _copy(where, load, rounds)
                if load.name == CREATED:
                    bare = next(each for each in where.servers if each.name == BARE)
                    made = _one(where, bare, load, where.seconds, FILE_PATH)
                    rounds.file_rates.append(made.rate)
    except KeyboardInterrupt:
        rounds.cut()
        if not rounds.count:
            raise
    finally:
        journal.close()
        _tell("")
    return rounds


def warm_up(server: Server, loads: Sequence[Load]) -> None:
    """Send what is to be warm once each: a second of it would leave most threads unopened."""
    fitting = [load.for_bare() if server.name == BARE else load for load in loads if load.warm]
    for requests in dict.fromkeys(load.requests for load in fitting):
        send_all(server, requests)


def _each(where: Field, load: Load, turn: int, seconds: int) -> list[tuple[str, Measured]]:
    """Put a load on each server, beginning with another one each turn."""
    first = turn % len(where.servers)
    return [
        (server.name, _one(where, server, load, seconds))
        for server in (*where.servers[first:], *where.servers[:first])
    ]


def _one(where: Field, server: Server, load: Load, seconds: int, bare_path: str = PATH) -> Measured:
    fitting = load.for_bare(bare_path) if server.name == BARE else load
    server.resume()
    try:
        return run(server, fitting, seconds, where.folder)
    finally:
        server.pause()


def _copy(where: Field, load: Load, rounds: Rounds) -> None:
    """Measure once more, without and with a copy beside it; longer, for there may be few copies."""
    seconds = 2 * where.seconds
    calm = _one(where, where.ours, load, seconds)
    with copied(where.data_dir) as copies:
        disturbed = _one(where, where.ours, load, seconds)
    rounds.calm_p99_ms.append(calm.p99_ms)
    rounds.copied_p99_ms.append(disturbed.p99_ms)
    rounds.copies += len(copies)


def _tell(text: str) -> None:
    """Say what is going on, in one line that is written over where that can be done."""
    end = "" if sys.stderr.isatty() else "\n" * bool(text)
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    print(erase + text, end=end, file=sys.stderr, flush=True)


def count_syncs(server: Server, loads: Sequence[Load], folder: Path) -> dict[str, float]:
    """Count what a request of each load makes the server sync, in runs of a second of their own.

    Args:
        server: Traced.
        loads: Those that write.
        folder: For files of the benchmark itself.

    Returns:
        Syncs a request, by the load's name; those of checkpoints are among them.
    """
    counted = {}
    warm_up(server, loads)
    for load in loads:
        before = server.syncs()
        measured = run(server, load, 1, folder)
        counted[load.name] = (server.syncs() - before) / measured.requests
    return counted
