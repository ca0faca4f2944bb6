"""Filter as you type: titles and ids of all threads of an organisation, a few at a time.

There is no index to keep: the list's lines are read from memory or the page cache in chunks, and
between two chunks everybody else has a turn. One request looks at a bounded number of threads and
says where the next one goes on, so whoever types on or leaves has cost no more than that.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from ragen_actor import schema
from ragen_actor.dashboard.visit import Visit
from ragen_actor.errors import InvalidRequest, ThreadNotFound
from ragen_actor.vault import ListedThread

FILTER_CHARS_MAX: Final = 256
CHUNK: Final = 250
SCANNED_MAX: Final = 10_000


class Found(Struct, frozen=True):
    """Threads that match.

    Attributes:
        threads: Newest first.
        has_more: Whether there are threads that were not looked at.
        cursor: The last thread that was; empty if there was none.
    """

    threads: tuple[ListedThread, ...]
    has_more: bool
    cursor: str


async def search(visit: Visit, wanted: str, after: str | None, *, rows_max: int) -> Found:
    """Look for threads whose title or id holds a text, case aside.

    Args:
        visit: Who asks; a visitor who has left is not searched for.
        wanted: Characters, at least one.
        after: The thread behind which to begin; None for the newest.
        rows_max: Threads to return, unless a chunk holds more.

    Raises:
        InvalidRequest: The text is longer than any title.
    """
    if len(wanted) > FILTER_CHARS_MAX:
        raise InvalidRequest("Invalid 'filter': it is longer than any title.", param="filter")
    vault = visit.backend.vault
    if schema.thread_key(wanted) is not None:
        try:
            return Found((await vault.get_thread(visit.org, wanted),), False, wanted)
        except ThreadNotFound:
            return Found((), False, "")
    needle = wanted.casefold()
    found: list[ListedThread] = []
    more = True
    scanned = 0
    while more and scanned < SCANNED_MAX and len(found) < rows_max and not visit.is_over:
        page = await vault.list_threads(visit.org, schema.ListQuery(limit=CHUNK, after=after))
        found += [each for each in page.threads if _matches(each.thread, needle)]
        scanned += len(page.threads)
        more = page.has_more
        after = page.threads[-1].thread.id if page.threads else after
        await asyncio.sleep(0)
    return Found(tuple(found), more, after or "")


def _matches(thread: schema.Thread, needle: str) -> bool:
    return needle in thread.id or (thread.title is not None and needle in thread.title.casefold())
