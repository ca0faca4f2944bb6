"""Touch every thread of a large organisation once, and see that memory stays within the cap.

    python -m bench.memory [--threads N] [--cap-mib N]

Each thread's newest messages are listed once, in turn, so that each becomes resident and the oldest
must leave. Ends with 1 if the process ever takes more than the cap and 100 MiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench import datasets, loads, machine, plot, servers, touching
from bench.datasets import Thread
from bench.plot import Curve, Panel

BEYOND_CAP_MIB_MAX = 100
_ROWS = 20
_MIB = 2**20

Point = tuple[int, float]
"""Threads touched, and MiB resident."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--threads", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--cap-mib", type=int, default=256, help="of resident actors; default: 256")
    arguments = parser.parse_args()
    threads, cap_mib = arguments.threads, arguments.cap_mib
    machine.require("taskset")
    about = machine.description(machine.ROOT)
    with tempfile.TemporaryDirectory(dir=machine.ROOT, prefix=".bench-") as name:
        curve = measure(Path(name), threads, cap_mib)
    most = max(mib for _, mib in curve)
    within = most <= cap_mib + BEYOND_CAP_MIB_MAX
    text = render(curve, cap_mib, about)
    print(text)
    stem = f"{machine.today()}-memory"
    if threads >= parser.get_default("threads"):
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / f"{stem}.md").write_text(text)
        (machine.RESULTS / f"{stem}.svg").write_text(drawing(curve, cap_mib))
        print(f"written to bench/results/{stem}.md and .svg", file=sys.stderr)
    return 0 if within else 1


def measure(folder: Path, threads: int, cap_mib: int) -> list[Point]:
    """Return the memory of a server as threads are touched, from none to all of them."""
    data_dir = folder / "data"
    started = time.monotonic()
    datasets.make(data_dir)
    files = dict.fromkeys(range(1, threads + 1), 0)
    datasets.write_organisation(data_dir, servers.ORG, threads=threads, files=files)
    print(f"{threads:,} threads written in {time.monotonic() - started:.0f} s", file=sys.stderr)
    config = f"[actors]\nresident_bytes_max = {cap_mib * _MIB}\nidle_seconds = 86400\n"
    with servers.ours(folder, data_dir, config=config) as server:
        curve = [(0, server.memory_bytes() / _MIB)]
        step = max(1, threads // 200)
        requests = (loads.first_page(Thread(number)) for number in range(1, threads + 1))
        for count in touching.send(server, requests):
            if count >= curve[-1][0] + step or count == threads:
                curve.append((count, server.memory_bytes() / _MIB))
        print(f"touched after {time.monotonic() - started:.0f} s", file=sys.stderr)
        return curve


def render(curve: list[Point], cap_mib: int, about: str) -> str:
    """Return the report, as Markdown: the curve as a table with bars."""
    threads, most = curve[-1][0], max(mib for _, mib in curve)
    limit = cap_mib + BEYOND_CAP_MIB_MAX
    rows = [curve[place * (len(curve) - 1) // _ROWS] for place in range(_ROWS + 1)]
    return "\n".join(
        (
            f"# {machine.today()}: {threads:,} threads touched once, in turn",
            "",
            about,
            "",
            f"The cap of resident actors is {cap_mib} MiB; the process took {most:.0f} MiB at "
            f"most, of {limit} MiB allowed: {'**within**' if most <= limit else '**beyond**'}.",
            "",
            "| threads touched | MiB resident | |",
            "|---|---|---|",
            *(f"| {n:,} | {mib:.0f} | {'█' * round(40 * mib / limit)} |" for n, mib in rows),
            "",
        )
    )


def drawing(curve: list[Point], cap_mib: int) -> str:
    """Return the curve and its limit, as SVG."""
    steps = [curve[-1][0] >> halvings for halvings in range(7, -1, -1)]
    touched = [next((float(n), mib) for n, mib in curve if n >= step > 0) for step in steps]
    limit = [(count, float(cap_mib + BEYOND_CAP_MIB_MAX)) for count, _ in touched]
    curves = [Curve("resident", touched), Curve("allowed", limit)]
    return plot.render([Panel("Every thread touched once", "threads touched", "MiB", curves)])


if __name__ == "__main__":
    sys.exit(main())
