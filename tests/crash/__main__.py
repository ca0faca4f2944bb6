"""Run many histories, or one again: `python -m tests.crash --histories 10000 --workers 2`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.crash.faults import Counts
from tests.crash.histories import run_history
from tests.crash.points import named

CHUNK = 50


@dataclass(slots=True)
class Result:
    """What some histories came to.

    Attributes:
        counts: What was done in them.
        failures: What went wrong, by seed.
    """

    counts: Counts = field(default_factory=Counts)
    failures: dict[int, str] = field(default_factory=dict)


def run(seeds: range) -> Result:
    """Live the histories of these seeds, and go on after one that fails."""
    result = Result()
    for seed in seeds:
        try:
            result.counts.add(run_history(seed)[0])
        except Exception as error:
            result.failures[seed] = f"{type(error).__name__}: {error}"
    return result


def main() -> int:
    """Return 0 when every history kept every promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--trace", action="store_true", help="run the first one and print its trace"
    )
    parser.add_argument(
        "--hash", action="store_true", help="print the hash of the first one's trace"
    )
    given = parser.parse_args()
    if given.trace or given.hash:
        digest = run_history(given.seed, print if given.trace else None)[1]
        print(digest)
        return 0
    return _run_all(given.seed, given.histories, given.workers)


def _run_all(first: int, histories: int, workers: int) -> int:
    began = time.monotonic()
    total = Result()
    for result in _results(first, histories, workers):
        total.counts.add(result.counts)
        for seed, failure in sorted(result.failures.items()):
            total.failures[seed] = failure
            print(f"\nseed {seed}: {failure}", file=sys.stderr)
            print(f"  replay: python -m tests.crash --seed {seed} --trace", file=sys.stderr)
        done = total.counts.histories + len(total.failures)
        seconds = time.monotonic() - began
        print(f"\r{done} histories, {seconds:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    _report(total.counts)
    print(f"{len(total.failures)} of {histories} histories broke a promise")
    return 1 if total.failures else 0


def _results(first: int, histories: int, workers: int) -> Iterator[Result]:
    last = first + histories
    chunks = [range(start, min(start + CHUNK, last)) for start in range(first, last, CHUNK)]
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(run, chunks)


def _report(counts: Counts) -> None:
    for title, numbers in (
        ("lives, by their end", counts.lives),
        ("crashes, by their place", counts.crashes),
        ("faults, by call", counts.faults),
        ("units, by their answer", counts.units),
    ):
        print(f"{title}: {sum(numbers.values())}")
        print("  " + ", ".join(_ordered(numbers)))

    print(f"crash points: {len(counts.points)} at which a history ended, of {2 * len(named())}")


def _ordered(numbers: Counter[str]) -> list[str]:
    return [f"{name} {count}" for name, count in sorted(numbers.items())]


if __name__ == "__main__":
    sys.exit(main())
