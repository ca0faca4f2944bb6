"""Upkeep: what storage does besides reading and writing, so that what is deleted leaves the disk.

Some of it happens by itself: logs of which enough is dead are rewritten, the files of deleted
threads are removed when their time has come. The rest happens when an operator asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor

from storage.checkpoint import Checkpointer
from storage.clearing import clear
from storage.committer import Committer
from storage.compaction import Compactor
from storage.datadir import ORG_NAME, ORGS, THREAD_FILE, OpenDirectory, org_path
from storage.reaper import Reaper
from storage.record_log import RecordLog

Told = Callable[[int | None], None]


class Upkeep:
    """Keeps an open data directory tidy. Its methods belong to the event loop."""

    def __init__(
        self,
        directory: OpenDirectory,
        committer: Committer,
        checkpointer: Checkpointer,
        executor: Executor,
    ) -> None:
        """Take what it works on; all waiting for the disk happens on the executor."""
        self._disk = directory.disk
        self._journal = directory.journal
        self._options = directory.options
        self._committer = committer
        self._checkpointer = checkpointer
        self._executor = executor
        self._compactor = Compactor(directory, committer, executor)
        self._reaper = Reaper(directory, executor)
        self._tasks: set[asyncio.Task[object]] = set()
        self._clearing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._spawn(self._reaper.run(), "reaper")

    def _spawn(self, work: Coroutine[None, None, object], name: str) -> asyncio.Task[object]:
        task: asyncio.Task[object] = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what is under way; every file is as it was before or as it was to be."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tend(self, record_log: RecordLog) -> None:
        """Begin to rewrite a log if enough of it is dead; its owner keeps it open meanwhile."""
        # A damaged log is read in vain: not at each commit, but each time it has doubled.
        is_fit = record_log.end >= 2 * record_log.unfit_end
        if is_fit and self._is_worn(record_log) and not record_log.compacting:
            self._spawn(self._compactor.compact(record_log), f"compaction of {record_log.path}")

    def _is_worn(self, record_log: RecordLog) -> bool:
        options, dead = self._options, record_log.dead_bytes
        return (
            dead >= options.compact_dead_bytes
            and dead >= options.compact_dead_ratio * record_log.end
        )

    async def compact(self, record_log: RecordLog) -> bool:
        """Rewrite a log without what is dead in it; tell whether that was done."""
        return await self._compactor.compact(record_log)

    def shrink(self, record_log: RecordLog, told: Told, *, now: bool = False) -> None:
        """Rewrite a log if that is due, or `now` if anything in it is dead.

        Args:
            record_log: What is rewritten; its owner keeps it open meanwhile.
            told: Called with the bytes saved, 0 if nothing was due, None if it failed.
            now: Whether it is due as soon as a single record is dead.
        """
        self._spawn(self._shrink(record_log, told, now), f"compaction of {record_log.path}")

    async def _shrink(self, record_log: RecordLog, told: Told, now: bool) -> None:
        await self._compactor.settled(record_log)
        before, dead = record_log.end, record_log.index.records > len(record_log.index)
        if not (dead if now else self._is_worn(record_log)):
            told(0)
        elif await self._compactor.compact(record_log):
            told(before - record_log.end)
        else:
            told(None)

    def bury(self, org: str, thread_id: str, deleted_at: int) -> None:
        """Remember to remove the file of a deleted thread, later."""
        self._reaper.bury(org, thread_id, deleted_at)

    async def reap(self, *, now: bool = False) -> int:
        """Remove files of deleted threads that are due, or all that may go `now`; tell how many.

        Raises:
            OSError: Some of those that must go now could not be removed.
        """
        if now:
            return await self._reaper.reap_all()
        options = self._options
        return await self._reaper.reap(options.reap_seconds, options.reap_files_per_second)

    async def checkpoint(self) -> None:
        """Return when every file is durable by itself, and the journal has nothing to do."""
        await self._committer.alone(self._journal.abandon)
        self._checkpointer.look()
        await self._checkpointer.all_free()

    async def clear_journal(self) -> None:
        """Overwrite the old batches in the journal; writes go on meanwhile.

        Raises:
            WriteRefused: Writes came so fast that a segment was never free.
            OSError: The disk fails.
        """
        # A segment in hand is let go again though whoever asked has left.
        await asyncio.shield(self._spawn(self._clear_journal(), "clearing of the journal"))

    async def _clear_journal(self) -> None:
        # One that goes on though its asker left would let go what the next one writes zeros upon.
        async with self._clearing:
            await clear(self._journal, self._committer, self.checkpoint, self._executor)

    async def organisations(self) -> list[str]:
        """Return every organisation that has a folder."""
        return [name for name in await self._names(ORGS) if ORG_NAME.fullmatch(name)]

    async def thread_ids(self, org: str) -> AsyncIterator[list[str]]:
        """Yield the ids of which an organisation has files, deleted ones too, some at a time."""
        threads = f"{org_path(org)}/threads"
        for folder in await self._names(threads):
            found = await self._names(f"{threads}/{folder}")
            yield [name.removesuffix(".jsonl") for name in found if THREAD_FILE.fullmatch(name)]

    async def count_aside(self) -> int:
        """Count the files that a recovery or a repair laid aside."""
        return await self._loop.run_in_executor(self._executor, self._count_aside)

    def _count_aside(self) -> int:
        names = (path.name for path in self._disk.root.rglob("*"))
        return sum(".damaged" in name or ".torn-" in name for name in names)

    async def _names(self, folder: str) -> list[str]:
        return await self._loop.run_in_executor(self._executor, self._disk.names, folder)
