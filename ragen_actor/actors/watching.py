"""Who is told when something has changed: readers that follow a thread or the list of threads.

Actors tell what they have committed, and only ids: whoever wants the content reads it. Watches are
kept here and not by the actors, so they outlive an actor that is let go, and an actor has nothing
to do for them while nobody watches.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from ragen_actor import schema
from ragen_actor.errors import Unavailable

CHANGES_MAX = 256
"""Changes that one watch holds until they are taken; one more, and it has missed some."""

_LIST = ""
"""Stands for the organisation's list among its threads."""

Kind = Literal[
    "thread-created",
    "thread-changed",
    "thread-deleted",
    "turn-added",
    "turn-changed",
    "turn-deleted",
    "missed",
]


class Change(Struct, frozen=True, gc=False):
    """Something that was committed.

    Attributes:
        kind: What happened; `missed` when more happened than was kept.
        thread_id: To which thread; empty with `missed`.
        message_id: To which of its messages; empty for the thread itself.
    """

    kind: Kind
    thread_id: str = ""
    message_id: str = ""


class Watch:
    """What one reader has not been told yet."""

    def __init__(self, org: str, thread_id: str | None) -> None:
        self.org = org
        self.topics = (_LIST,) if thread_id is None else (_LIST, thread_id)
        self._changes: dict[tuple[Kind, str, str], Change] = {}
        self._missed = False
        self._ended = False
        self._news = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Tell whether nothing will ever come."""
        return self._ended

    async def wait(self, seconds_max: float) -> list[Change]:
        """Wait for changes and take them, oldest first; none when the time is up or it has ended.

        Turns added to one thread are told once: a reader fetches all that follow what it has.
        """
        if not self._news.is_set():
            try:
                async with asyncio.timeout(seconds_max):
                    await self._news.wait()
            except TimeoutError:
                return []
        self._news.clear()
        taken = [Change("missed")] if self._missed else list(self._changes.values())
        self._changes.clear()
        self._missed = False
        return taken

    def add(self, change: Change) -> None:
        """Keep a change until it is taken."""
        about = "" if change.kind == "turn-added" else change.message_id
        key = (change.kind, change.thread_id, about)
        if not self._missed and (key in self._changes or len(self._changes) < CHANGES_MAX):
            self._changes[key] = change
        else:
            self._missed = True
            self._changes.clear()
        self._news.set()

    def end(self) -> None:
        """Let its reader go."""
        self._ended = True
        self._news.set()


class Watchers:
    """All watches, bounded; true while there is any, so that telling nobody costs one look.

    Attributes:
        watches_max: At once; one organisation may have half of them.
    """

    def __init__(self, watches_max: int = 256) -> None:
        self.watches_max = watches_max
        self._watches: set[Watch] = set()
        self._by_topic: dict[tuple[str, str], set[Watch]] = {}

    def __bool__(self) -> bool:
        """Tell whether anybody watches anything."""
        return bool(self._watches)

    def __len__(self) -> int:
        """Count the watches."""
        return len(self._watches)

    def open(self, org: str, thread_id: str | None) -> Watch:
        """Watch an organisation's list of threads, and the turns of one of them.

        Raises:
            Unavailable: There are as many watches as there may be.
        """
        of_org = self._by_topic.get((org, _LIST), ())
        if len(self._watches) >= self.watches_max or len(of_org) >= (self.watches_max + 1) // 2:
            raise Unavailable("Too many pages watch for changes. Please try again.")
        watch = Watch(org, thread_id)
        self._watches.add(watch)
        for topic in watch.topics:
            self._by_topic.setdefault((org, topic), set()).add(watch)
        return watch

    def close(self, watch: Watch) -> None:
        """Forget a watch."""
        self._watches.discard(watch)
        for topic in watch.topics:
            others = self._by_topic.get((watch.org, topic), set())
            others.discard(watch)
            if not others:
                self._by_topic.pop((watch.org, topic), None)

    def announce(self, org: str, kind: Kind, thread_id: str, message_id: str = "") -> None:
        """Tell whoever follows the thread, or the list when the thread itself changed."""
        if not self._watches:
            return
        topic = thread_id if message_id else _LIST
        for watch in self._by_topic.get((org, topic), ()):
            watch.add(Change(kind, thread_id, message_id))
        if message_id and schema.message_sequence(message_id) == 1:
            # A thread without a title is listed by its first turn.
            self.announce(org, "thread-changed", thread_id)

    def end(self) -> None:
        """Let every reader go: the server stops."""
        for watch in self._watches:
            watch.end()
