"""What is asked: the loads of `make bench`, and the data that they are about.

Each load says what its ratio to the bare handler should reach. The goals are those of the design:
an append should cost what any handler costs, and a read of stored bytes not much more.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from bench.datasets import TURN, Thread
from bench.wrk import Load, Request

LONG, LONG_MESSAGES = Thread(1), 100_000
SHORT = tuple(map(Thread, range(2, 66)))
SHORT_MESSAGES = 100
SOME = tuple(map(Thread, range(101, 165)))
MANY = tuple(map(Thread, range(1, 10_001)))
PLACES = 256
"""Deep cursors and single messages that a load asks for in turn."""

CREATE = Request("POST", "/v1/threads", "{}")
CREATE_WITH_TWO = Request("POST", "/v1/threads", json.dumps({"messages": [json.loads(TURN)] * 2}))
COPIED = "append, 64 connections, 64 threads"
"""The load that is also put on the server while its directory is copied."""
CREATED = "create a thread"
"""The load that is also put on a bare handler which makes a file for each request."""

APPEND_GOALS = {64: 0.85, 16: 0.60}
APPEND_TIMES_SQLITE = {64: 1.5}
LIST_GOAL, GET_GOAL, CREATE_GOAL, LIST_THREADS_GOAL = 0.75, 0.90, 0.70, 0.70
READERS = 16

_ONLY_FULL = {
    *(f"append, {c}, 1 thread" for c in ("1 connection", "16 connections", "256 connections")),
    *(
        f"append, {c}, 10,000 threads"
        for c in ("1 connection", "16 connections", "256 connections")
    ),
    "create a thread with 2 messages",
    "list 20 of 100, deep cursor",
    "get a thread",
}
"""A quick run goes without these: others tell much the same."""


@dataclass(frozen=True)
class Plan:
    """How much of everything there is.

    Attributes:
        threads: In the catalogue.
        full: Whether every load is run, or those that tell most.
    """

    threads: int
    full: bool

    @property
    def files(self) -> dict[int, int]:
        """How many messages each thread begins with that can be asked for, by number."""
        empty = {thread.number: 0 for thread in MANY}
        return empty | {each.number: SHORT_MESSAGES for each in SHORT} | {1: LONG_MESSAGES}


def loads(plan: Plan) -> tuple[Load, ...]:
    """Return the loads, in the order of the table."""
    return tuple(each for each in _all(plan) if plan.full or each.name not in _ONLY_FULL)


def _all(plan: Plan) -> tuple[Load, ...]:
    chosen = random.Random(4)
    return (
        *_appends(),
        Load(CREATED, (CREATE,), READERS, CREATE_GOAL),
        Load("create a thread with 2 messages", (CREATE_WITH_TWO,), READERS, CREATE_GOAL),
        Load("list 20 of 100 messages", tuple(map(first_page, SHORT)), READERS, LIST_GOAL),
        Load("list 20 of 100, deep cursor", _deep(SHORT, SHORT_MESSAGES), READERS, LIST_GOAL),
        Load("list 20 of 100,000 messages", (first_page(LONG),), READERS, LIST_GOAL),
        Load("list 20 of 100,000, deep cursor", _deep([LONG], LONG_MESSAGES), READERS, LIST_GOAL),
        Load("get a message", _messages(chosen), READERS, GET_GOAL),
        Load("get a thread", tuple(map(get_thread, SHORT)), READERS, GET_GOAL),
        Load(f"list 20 of {plan.threads:,} threads", (LIST_THREADS,), READERS, LIST_THREADS_GOAL),
        Load(
            f"list 20 of {plan.threads:,} threads, deep cursor",
            deep_threads(plan.threads),
            READERS,
            LIST_THREADS_GOAL,
        ),
        Load("mix: 60 % list, 30 % append, 10 % others", mix(SHORT, SHORT_MESSAGES), 64),
    )


def _appends() -> list[Load]:
    sets = {"1 thread": (SHORT[0],), "64 threads": SOME, "10,000 threads": MANY}
    return [
        Load(
            f"append, {connections} connection{'s' * (connections > 1)}, {name}",
            tuple(map(append, threads)),
            connections,
            APPEND_GOALS.get(connections) if len(threads) > 1 else None,
            APPEND_TIMES_SQLITE.get(connections, 1.0),
            warm=threads is MANY,
        )
        for connections in (1, 16, 64, 256)
        for name, threads in sets.items()
    ]


LIST_THREADS = Request("GET", "/v1/threads?limit=20")


def append(thread: Thread, turn: str = TURN) -> Request:
    return Request("POST", f"{thread.path}/messages", turn)


def first_page(thread: Thread) -> Request:
    return Request("GET", f"{thread.path}/messages?limit=20")


def get_thread(thread: Thread) -> Request:
    return Request("GET", thread.path)


def get_message(thread: Thread, sequence: int) -> Request:
    return Request("GET", f"{thread.path}/messages/{thread.message_id(sequence)}")


def page_after(thread: Thread, sequence: int) -> Request:
    return Request("GET", f"{first_page(thread).path}&after={thread.message_id(sequence)}")


def deep_threads(threads: int) -> tuple[Request, ...]:
    """Pages from all over a catalogue."""
    chosen = random.Random(5)
    numbers = [chosen.randint(min(21, threads), threads) for _ in range(PLACES)]
    return tuple(Request("GET", f"{LIST_THREADS.path}&after={Thread(n).id}") for n in numbers)


def deep_pages(thread: Thread, messages: int, chosen: random.Random) -> list[Request]:
    """Pages from all over a thread."""
    lowest = min(21, messages)
    return [page_after(thread, chosen.randint(lowest, messages)) for _ in range(PLACES)]


def _deep(threads: tuple[Thread, ...] | list[Thread], messages: int) -> tuple[Request, ...]:
    chosen = random.Random(6)
    pages = [page for each in threads for page in deep_pages(each, messages, chosen)]
    return tuple(chosen.sample(pages, PLACES))


def _messages(chosen: random.Random) -> tuple[Request, ...]:
    return tuple(
        get_message(chosen.choice(SHORT), chosen.randint(1, SHORT_MESSAGES)) for _ in range(PLACES)
    )


def mix(threads: tuple[Thread, ...], messages: int, count: int = 1000) -> tuple[Request, ...]:
    """What a chat does: it shows a thread, adds to it, and now and then does something else.

    Args:
        threads: Asked for at random.
        messages: That each of them begins with, 1 or more.
        count: Requests, in a fixed order that looks random.
    """
    chosen = random.Random(7)

    def thread() -> Thread:
        return chosen.choice(threads)

    requests = [
        *(first_page(thread()) for _ in range(count * 60 // 100)),
        *(append(thread()) for _ in range(count * 30 // 100)),
        *(get_message(thread(), chosen.randint(1, messages)) for _ in range(count * 4 // 100)),
        *(get_thread(thread()) for _ in range(count * 3 // 100)),
        *(CREATE for _ in range(count * 2 // 100)),
        *(LIST_THREADS for _ in range(count // 100)),
    ]
    chosen.shuffle(requests)
    return tuple(requests)
