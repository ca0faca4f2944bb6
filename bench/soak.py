"""Put the mix on a server for long, and see that nothing but its data grows.

    python -m bench.soak [MINUTES] [--sample-seconds N]

The cap of resident actors is lower than what the threads in use would take, so that they come and
go all the time, and the threads are so long that the soak makes them little longer: memory has no
reason to grow, nor the allocator to move what it holds to blocks of other sizes. The first fifth is
for reaching that state. Ends with 1 if memory, descriptors or p99 rise, if a request failed, or if
the data is not sound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import datasets, loads, machine, servers, touching
from bench.datasets import Thread
from bench.servers import Server
from bench.trend import Trend, trend
from bench.wrk import Load, observe

THREADS = 10_000
MESSAGES = 100
CAP_MIB = 32
CONNECTIONS = 64
_CONFIG = f"[actors]\nresident_bytes_max = {CAP_MIB << 20}\n"
_WARM_UP = 0.2
_SAMPLES_MIN = 5
_MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """What one stretch of the soak came to.

    Attributes:
        second: Of the soak, at its end.
        requests: Answered.
        p99_ms: Of their latency.
        memory_mib: Resident at its end.
        descriptors: Open at its end, the load's connections closed.
        errors: Answers other than 200, and broken connections.
    """

    second: float
    requests: int
    p99_ms: float
    memory_mib: float
    descriptors: int
    errors: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("minutes", type=float, nargs="?", default=10.0, help="default: 10")
    parser.add_argument("--sample-seconds", type=int, default=5, help="default: 5")
    arguments = parser.parse_args()
    machine.require("wrk", "taskset")
    about = machine.description(machine.ROOT)
    seconds = arguments.minutes * 60
    if (1 - _WARM_UP) * seconds < _SAMPLES_MIN * arguments.sample_seconds:
        parser.error(f"too short for {_SAMPLES_MIN} samples after the warm-up")
    with tempfile.TemporaryDirectory(dir=machine.ROOT, prefix=".bench-") as name:
        folder = Path(name)
        data_dir = folder / "data"
        datasets.make(data_dir)
        files = dict.fromkeys(range(1, THREADS + 1), MESSAGES)
        datasets.write_organisation(data_dir, servers.ORG, threads=THREADS, files=files)
        with servers.ours(folder, data_dir, config=_CONFIG) as server:
            samples = soak(server, seconds, arguments.sample_seconds, folder)
        is_sound = _check(data_dir)
    text, is_well = verdict(samples, is_sound=is_sound)
    print(text)
    if arguments.minutes >= parser.get_default("minutes"):
        machine.RESULTS.mkdir(exist_ok=True)
        written = machine.RESULTS / f"{machine.today()}-soak.md"
        written.write_text(f"# {machine.today()}: soak\n\n{about}\n\n{text}\n")
        print(f"written to {written.relative_to(machine.ROOT)}", file=sys.stderr)
    return 0 if is_well else 1


def soak(server: Server, seconds: float, sample_seconds: int, folder: Path) -> list[Sample]:
    """Put the mix on a server, stretch after stretch, and return what each came to."""
    threads = tuple(map(Thread, range(1, THREADS + 1)))
    load = Load("mix", loads.mix(threads, MESSAGES, 2 * THREADS), CONNECTIONS)
    samples: list[Sample] = []
    # Each is in memory once, so that from the first sample on some must leave for others to come.
    touching.send_all(server, map(loads.first_page, threads))
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        found = observe(server, load, sample_seconds, folder)
        sample = Sample(
            time.monotonic() - started,
            found.requests,
            found.p99_ms,
            server.memory_bytes() / _MIB,
            server.descriptors(),
            found.errors,
        )
        samples.append(sample)
        print(
            f"{sample.second:6.0f} s  {sample.requests / sample_seconds:6.0f} requests/s"
            f"  p99 {sample.p99_ms:7.1f} ms  {sample.memory_mib:6.1f} MiB"
            f"  {sample.descriptors:5d} descriptors  {sample.errors} errors",
            flush=True,
        )
    return samples


def verdict(samples: Sequence[Sample], *, is_sound: bool) -> tuple[str, bool]:
    """Say what became of the soak.

    Returns:
        The words, as Markdown, and whether all is well.
    """
    warm = [each for each in samples if each.second > _WARM_UP * samples[-1].second]
    trends = [
        trend("memory, MiB", [(s.second, s.memory_mib) for s in warm], share_max=0.05, least_max=8),
        trend(
            "descriptors", [(s.second, s.descriptors) for s in warm], share_max=0.05, least_max=64
        ),
        trend("p99, ms", [(s.second, s.p99_ms) for s in warm], share_max=0.5, least_max=5),
    ]
    errors = sum(each.errors for each in samples)
    requests = sum(each.requests for each in samples)
    is_flat = all(each.is_flat for each in trends)
    word = "failed" if errors or not is_sound else "flat" if is_flat else "not flat"
    lines = [
        f"{requests:,} requests in {samples[-1].second / 60:.1f} minutes, {errors} errors; "
        f"the data is {'sound' if is_sound else '**damaged**'}; the verdict is **{word}**.",
        "",
        "| what | median | rise | allowed | flat |",
        "|---|---|---|---|---|",
        *map(_row, trends),
    ]
    return "\n".join(lines), word == "flat"


def _row(found: Trend) -> str:
    return (
        f"| {found.name} | {found.median:.1f} | {found.rise:+.1f} | {found.rise_max:.1f} "
        f"| {'yes' if found.is_flat else '**no**'} |"
    )


def _check(data_dir: Path) -> bool:
    """Tell whether `ragen-actor check` finds nothing."""
    command = [sys.executable, "-m", "ragen_actor", "check", "--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=machine.ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
