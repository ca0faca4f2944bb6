"""Print what a request costs here, as a ratio to a bare aiohttp handler in the same run.

    python -m bench [--full] [--rounds N] [--seconds N] [--only TEXT]

The quick run takes about three minutes, the full one about half an hour. Ctrl-C ends what is going
on, and the report shows what there is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from bench import datasets, machine, report, rounds, servers, starting
from bench.loads import Plan, loads
from bench.report import Findings
from bench.wrk import BadAnswers, Load

QUICK_THREADS, FULL_THREADS = 10_000, 1_000_000
QUICK_ROUNDS, FULL_ROUNDS = 3, 9
QUICK_SECONDS, FULL_SECONDS = 1, 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--full", action="store_true", help="every load, a million threads")
    parser.add_argument("--rounds", type=int, help=f"default: {QUICK_ROUNDS}, full {FULL_ROUNDS}")
    parser.add_argument(
        "--seconds", type=int, help=f"of each run; default: {QUICK_SECONDS}, full {FULL_SECONDS}"
    )
    parser.add_argument("--only", default="", help="loads whose name contains this, and no starts")
    arguments = parser.parse_args()
    machine.require("wrk", "taskset", "cp")
    full = arguments.full
    plan = Plan(FULL_THREADS if full else QUICK_THREADS, full)
    chosen = [load for load in loads(plan) if arguments.only in load.name]
    if not chosen:
        parser.error(f"no load's name contains {arguments.only!r}")
    count = arguments.rounds or (FULL_ROUNDS if full else QUICK_ROUNDS)
    seconds = arguments.seconds or (FULL_SECONDS if full else QUICK_SECONDS)
    about = machine.description(machine.ROOT)
    with tempfile.TemporaryDirectory(dir=machine.ROOT, prefix=".bench-") as name:
        folder = Path(name)
        try:
            findings = measure(folder, plan, chosen, count, seconds)
            if not arguments.only:
                with suppress(KeyboardInterrupt):
                    findings.starts = starting.measure(folder, plan.threads)
        except BadAnswers as error:
            print(f"the benchmark means nothing: {error}", file=sys.stderr)
            return 1
    text = report.render(findings, machine.today(), about)
    print(text)
    if not arguments.only:
        machine.RESULTS.mkdir(exist_ok=True)
        written = machine.RESULTS / f"{machine.today()}{'-full' if full else ''}.md"
        written.write_text(text)
        print(f"written to {written.relative_to(machine.ROOT)}", file=sys.stderr)
    return 0


def measure(folder: Path, plan: Plan, chosen: list[Load], count: int, seconds: int) -> Findings:
    """Prepare the data, play the rounds, and count syncs afterwards."""
    data_dir, database = folder / "data", folder / "sqlite.db"
    datasets.make(data_dir)
    datasets.write_organisation(data_dir, servers.ORG, threads=plan.threads, files=plan.files)
    datasets.write_sqlite(database, threads=plan.threads, files=plan.files)
    with ExitStack() as running:
        every = (
            running.enter_context(servers.bare(folder)),
            running.enter_context(servers.sqlite(folder, database)),
            running.enter_context(servers.ours(folder, data_dir)),
        )
        for server in every:
            server.settle()
            server.pause()
        where = rounds.Field(every, every[-1], data_dir, folder, seconds)
        played = rounds.play(where, chosen, count)
        findings = Findings(chosen, played, seconds)
        findings.memory = {server.name: server.memory_bytes() for server in every}
    writing = [load for load in chosen if load.writes or plan.full]
    if shutil.which("strace") is None:
        print("syncs are not counted: apt-get install strace", file=sys.stderr)
        return findings
    with suppress(KeyboardInterrupt):
        with servers.ours(folder, data_dir, traced=True) as server:
            findings.syncs[server.name] = rounds.count_syncs(server, writing, folder)
        with servers.sqlite(folder, database, traced=True) as server:
            findings.syncs[server.name] = rounds.count_syncs(server, writing, folder)
    return findings


if __name__ == "__main__":
    sys.exit(main())
