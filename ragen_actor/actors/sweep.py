"""A sweep over everything that is stored: dead records go, and the files of deleted threads.

Each log is rewritten by its owner, one after the other, so memory does not grow with their number,
and requests are served in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

import msgspec

from ragen_actor.actors.commands import Compact
from ragen_actor.actors.registry import Registry
from ragen_actor.errors import RagenError, ThreadNotFound, Unavailable
from storage import Storage

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS_MAX = 120.0


class Report(msgspec.Struct):
    """How far a sweep has come.

    Attributes:
        step: What it is doing.
        logs: Files looked at.
        compacted: Those rewritten.
        saved_bytes: By which they are shorter.
        removed: Deleted threads whose files were removed.
        failed: Files that could not be opened or rewritten; the log says why.
        aside: Files that a recovery or a repair laid aside; what they hold is not looked at.
    """

    step: str = ""
    logs: int = 0
    compacted: int = 0
    saved_bytes: int = 0
    removed: int = 0
    failed: int = 0
    aside: int = 0


async def sweep(storage: Storage, registry: Registry, report: Report, *, now: bool) -> None:
    """Rewrite what is due and remove what is due; `now` also what is not, from the journal too.

    Args:
        storage: Where everything lies.
        registry: The owners of the logs.
        report: Kept up to date.
        now: Whether everything that was deleted before the call is to be gone from the disk.

    Raises:
        Unavailable: The server stops, or the disk does not take what the journal holds.
        StorageError: The journal could not be cleared.
        OSError: The disk fails.
    """
    if now:
        report.step = "settling the journal"
        await _checkpoint(storage)
    await _reap(storage, report, now=now)
    report.step = "compacting"
    for org in await storage.upkeep.organisations():
        async for thread_ids in storage.upkeep.thread_ids(org):
            for thread_id in thread_ids:
                saving = compact_thread(registry, org, thread_id, now=now)
                await _count(registry, report, saving)
        # Only now does it know of no removed file any more.
        await _count(registry, report, compact_catalog(registry, org, now=now))
    if now:
        report.step = "settling the journal"
        await _checkpoint(storage)
        # Threads that were deleted before their turn had come took deleted messages with them.
        await _reap(storage, report, now=True)
        report.step = "clearing the journal"
        await storage.upkeep.clear_journal()
        report.aside = await storage.upkeep.count_aside()
    report.step = ""
    log.info(
        "compaction: %d of %d files rewritten, %d bytes saved, %d deleted threads removed, "
        "%d failed",
        report.compacted,
        report.logs,
        report.saved_bytes,
        report.removed,
        report.failed,
    )


async def compact_thread(registry: Registry, org: str, thread_id: str, *, now: bool) -> int | None:
    """Have a thread's file rewritten by its owner.

    Returns:
        Bytes saved, 0 when nothing was due; None when it failed.

    Raises:
        ThreadNotFound: The thread was deleted.
        RagenError: Its file cannot be opened, or the server stops.
    """
    saved = await registry.ask_in_passing(org, thread_id, Compact(now))
    return msgspec.json.decode(saved, type=int | None)


async def compact_catalog(registry: Registry, org: str, *, now: bool) -> int | None:
    """Have a catalogue rewritten by its owner.

    Returns:
        Bytes saved, 0 when nothing was due; None when it failed.

    Raises:
        RagenError: It cannot be opened, or the server stops.
    """
    return msgspec.json.decode(await registry.ask_catalog(org, Compact(now)), type=int | None)


async def _reap(storage: Storage, report: Report, *, now: bool) -> None:
    report.step = "removing files of deleted threads"
    try:
        report.removed += await storage.upkeep.reap(now=now)
    except OSError as error:
        log.error("%s", error)
        report.failed += 1


async def _count(registry: Registry, report: Report, compaction: Awaitable[int | None]) -> None:
    try:
        saved = await compaction
    except ThreadNotFound:
        return
    except RagenError:
        if registry.is_closing:
            raise
        saved = None
    report.logs += 1
    if saved is None:
        report.failed += 1
    elif saved:
        report.compacted += 1
        report.saved_bytes += max(saved, 0)  # What is written meanwhile may make it longer.


async def _checkpoint(storage: Storage) -> None:
    try:
        async with asyncio.timeout(CHECKPOINT_SECONDS_MAX):
            await storage.upkeep.checkpoint()
    except TimeoutError:
        raise Unavailable(f"The journal cannot be settled: {storage.trouble}") from None
