"""Show how the cost of a request grows: with its thread, its catalogue, its message, its company.

    python -m bench.growth [--quick] [--rounds N] [--seconds N]

Writes a table and a drawing to bench/results. What is expected stands beside each curve: flat where
the work is a bisection and one read, linear where bytes are moved.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import datasets, growth_report, loads, machine, servers, touching
from bench.datasets import Thread
from bench.growth_report import FLAT, LINEAR, Group, Series
from bench.servers import Server
from bench.wrk import BadAnswers, Load, Request, run

CONNECTIONS = 16
LENGTHS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
THREADS = (1_000, 10_000, 100_000, 1_000_000)
CHARACTERS = (100, 1_000, 10_000, 100_000, 256_000)
RESIDENT = (100, 1_000, 10_000, 50_000)
_PAGE = 20
_QUICK_MAX = 10_000


Asked = Iterator[tuple[Server, str, str, tuple[Request, ...]]]
"""Who is asked, the name of it, what is expected, and the requests."""


@dataclass(frozen=True)
class Course:
    """How long everything is asked, and where the files lie meanwhile."""

    folder: Path
    rounds: int
    seconds: int

    def measure(self, group: Group, size: int, asked: Asked) -> None:
        """Add one round at one size to a group."""
        print(f"{group.title}: {size:,}", file=sys.stderr, flush=True)
        for server, name, expected, requests in asked:
            series = group.series.setdefault(name, Series(name, expected))
            found = run(server, Load(name, requests, CONNECTIONS), self.seconds, self.folder)
            series.points.setdefault(size, []).append(found)

    @contextmanager
    def served(
        self, files: Mapping[str, Mapping[int, int]], threads: Mapping[str, int] | None = None
    ) -> Iterator[dict[str, Server]]:
        """Serve new data.

        Args:
            files: By organisation and the thread's number, how many messages it begins with.
            threads: By organisation, how many its catalogue lists, if more than have files.

        Yields:
            The server as the holder of each organisation's key sees it.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            data_dir = Path(name) / "data"
            datasets.make(data_dir)
            for org, numbers in files.items():
                listed = (threads or {}).get(org) or max(numbers)
                datasets.write_organisation(data_dir, org, threads=listed, files=numbers)
            keys = {org: servers.new_key(data_dir, org) for org in files}
            with servers.ours(Path(name), data_dir) as server:
                server.settle()
                yield {org: replace(server, key=key) for org, key in keys.items()}


def thread_length(course: Course, sizes: Sequence[int]) -> Group:
    """Threads of more and more messages, each with a twin that is appended to."""
    group = Group("Length of the thread", "messages", {})
    threads = {size: Thread(number) for number, size in enumerate(sizes, 1)}
    twins = {size: Thread(each.number + len(sizes)) for size, each in threads.items()}
    files = {each.number: size for every in (threads, twins) for size, each in every.items()}
    with course.served({"length": files}) as of:
        for _ in range(course.rounds):
            for size, thread in threads.items():
                asked = _about_a_thread(of["length"], thread, twins[size], size)
                course.measure(group, size, asked)
    return group


def _about_a_thread(server: Server, thread: Thread, twin: Thread, size: int) -> Asked:
    chosen = random.Random(size)
    yield server, "append", FLAT, (loads.append(twin),)
    if size > _PAGE:  # Shorter threads have shorter pages, which cost less.
        yield server, "list 20, first page", FLAT, (loads.first_page(thread),)
        deep = tuple(loads.deep_pages(thread, size, chosen))
        yield server, "list 20, deep cursor", FLAT, deep
    numbers = [chosen.randint(1, size) for _ in range(loads.PLACES)]
    messages = tuple(loads.get_message(thread, number) for number in numbers)
    yield server, "get a message", FLAT, messages


def number_of_threads(course: Course, sizes: Sequence[int]) -> Group:
    """Organisations of more and more threads, each with a twin that gets new ones."""
    group = Group("Number of threads", "threads in the organisation", {})
    some = tuple(map(Thread, range(1, 65)))
    numbers = {each.number: 1 for each in some}
    threads = {f"{kind}-{size}": size for size in sizes for kind in ("read", "grow")}
    with course.served(dict.fromkeys(threads, numbers), threads) as of:
        for _ in range(course.rounds):
            for size in sizes:
                asked = _about_a_catalogue(of[f"read-{size}"], of[f"grow-{size}"], some, size)
                course.measure(group, size, asked)
    return group


def _about_a_catalogue(server: Server, twin: Server, some: tuple[Thread, ...], size: int) -> Asked:
    yield server, "append", FLAT, tuple(map(loads.append, some))
    yield server, "list 20 threads, first page", FLAT, (loads.LIST_THREADS,)
    yield server, "list 20 threads, deep cursor", FLAT, loads.deep_threads(size)
    yield server, "get a thread", FLAT, tuple(map(loads.get_thread, some))
    yield twin, "create a thread", FLAT, (loads.CREATE,)


def message_size(course: Course, sizes: Sequence[int]) -> Group:
    """Messages of more and more characters."""
    group = Group("Size of the message", "characters", {})
    threads = {size: Thread(number) for number, size in enumerate(sizes, 1)}
    with course.served({"size": {each.number: 0 for each in threads.values()}}) as of:
        server = of["size"]
        for size, thread in threads.items():
            touching.send_all(server, [loads.append(thread, _turn(size))] * _PAGE)
        for _ in range(course.rounds):
            for size, thread in threads.items():
                page = json.loads(server.call("GET", loads.first_page(thread).path))
                newest = Request("GET", f"{thread.path}/messages/{page['first_id']}")
                course.measure(group, size, _about_a_size(server, thread, size, newest))
    return group


def _about_a_size(server: Server, thread: Thread, size: int, newest: Request) -> Asked:
    yield server, "append", LINEAR, (loads.append(thread, _turn(size)),)
    yield server, "list 20, first page", LINEAR, (loads.first_page(thread),)
    yield server, "get a message", LINEAR, (newest,)


def _turn(characters: int) -> str:
    return json.dumps({"role": "user", "content": "x" * characters})


def resident_actors(course: Course, sizes: Sequence[int]) -> Group:
    """More and more threads in memory; what is measured is about the first 64 of them."""
    group = Group("Resident actors", "threads in memory", {})
    some = tuple(map(Thread, range(1, 65)))
    with course.served({"resident": dict.fromkeys(range(1, sizes[-1] + 1), 20)}) as of:
        server, touched = of["resident"], 0
        for size in sizes:
            new = map(Thread, range(touched + 1, size + 1))
            touching.send_all(server, map(loads.first_page, new))
            touched = size
            for _ in range(course.rounds):
                course.measure(group, size, _about_some(server, some))
    return group


def _about_some(server: Server, some: tuple[Thread, ...]) -> Asked:
    yield server, "append", FLAT, tuple(map(loads.append, some))
    yield server, "list 20, first page", FLAT, tuple(map(loads.first_page, some))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help=f"no sizes above {_QUICK_MAX:,}")
    parser.add_argument("--rounds", type=int, default=5, help="of everything (default: 5)")
    parser.add_argument("--seconds", type=int, default=1, help="of each run (default: 1)")
    arguments = parser.parse_args()
    machine.require("wrk", "taskset")
    about = machine.description(machine.ROOT)

    def upto(sizes: Sequence[int]) -> list[int]:
        return [size for size in sizes if size <= _QUICK_MAX or not arguments.quick]

    with tempfile.TemporaryDirectory(dir=machine.ROOT, prefix=".bench-") as name:
        course = Course(Path(name), arguments.rounds, arguments.seconds)
        try:
            groups = [
                thread_length(course, upto(LENGTHS)),
                number_of_threads(course, upto(THREADS)),
                message_size(course, upto(CHARACTERS)),
                resident_actors(course, upto(RESIDENT)),
            ]
        except BadAnswers as error:
            print(f"the benchmark means nothing: {error}", file=sys.stderr)
            return 1
    stem = f"{machine.today()}-growth"
    text = growth_report.table(groups, machine.today(), about, f"{stem}.svg")
    print(text)
    if not arguments.quick:
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / f"{stem}.md").write_text(text)
        (machine.RESULTS / f"{stem}.svg").write_text(growth_report.drawing(groups))
        print(f"written to bench/results/{stem}.md and .svg", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
