"""What the actors may ask of storage, and nothing more.

Opening takes the lock, does again what the journal holds and starts the committer; closing drains
it and leaves a journal with nothing to do. In between there are logs to read and units to commit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from storage.adoption import adopt
from storage.append import Append, Done
from storage.checkpoint import SYNCERS, Checkpointer
from storage.committer import Committer
from storage.datadir import (
    OpenDirectory,
    catalog_path,
    lock,
    mark_original,
    prepare,
    thread_path,
)
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.journal import Journal
from storage.kinds import CatalogLog, ThreadLog
from storage.opening import Opener
from storage.options import Options
from storage.reader import Cut, Place
from storage.record import payload
from storage.record_log import RecordLog
from storage.recovery import Outcome, recover
from storage.sidecars import Sidecars
from storage.upkeep import Upkeep

log = logging.getLogger(__name__)

READERS = 4
TICK_SECONDS = 1.0


class Storage:
    """One open data directory. Its methods belong to the event loop that opened it.

    Attributes:
        disk: Where it lies.
        recovered: What the start had to do again.
        upkeep: Compaction and all that takes from the disk what was deleted; there once started.
    """

    upkeep: Upkeep

    def __init__(
        self,
        options: Options,
        disk: Disk,
        lock_descriptor: int,
        executors: Callable[[int, str], Executor],
        clock: Callable[[], float],
        time_of_day: Callable[[], float],
    ) -> None:
        self.disk = disk
        self.recovered = Outcome()
        self._options = options
        self._lock = lock_descriptor
        self._executors = [
            executors(count, name)
            for count, name in (
                (READERS, "read"),
                (1, "commit"),
                (1, "checkpoint"),
                (SYNCERS, "sync"),
                (1, "housekeeping"),
            )
        ]
        self._readers, self._writer, self._background, self._syncers, self._housekeeping = (
            self._executors
        )
        self._clock = clock
        self._time_of_day = time_of_day
        self._descriptors = Descriptors(disk, options.open_files_max)
        self._opener = Opener(disk, self._descriptors)
        self._sidecars = Sidecars(disk, self._readers)
        self._journal = Journal(disk, options.journal_segment_bytes, clock)
        self._loop = asyncio.get_running_loop()
        self._started = False

    @classmethod
    async def open(
        cls,
        options: Options,
        disk: Disk | None = None,
        *,
        time_of_day: Callable[[], float] = time.time,
    ) -> Storage:
        """Take a data directory and make it ready; the arguments are those of `take`.

        Raises:
            DataDirInUse: Another process has it.
            DataDirUnusable: It is of a newer format, or no data directory.
            OSError: The disk fails.
        """
        storage = await cls.take(options, disk, time_of_day=time_of_day)
        try:
            await storage.start()
        except BaseException:
            await storage.close()
            raise
        return storage

    @classmethod
    async def take(
        cls,
        options: Options,
        disk: Disk | None = None,
        *,
        executors: Callable[[int, str], Executor] = ThreadPoolExecutor,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> Storage:
        """Take a data directory, making it if need be, before anything in it is looked at.

        Args:
            options: What an operator may set.
            disk: Another one than the directory's own file system, for tests.
            executors: Makes the threads that wait for the disk, from their number and name.
            clock: Seconds, never going back.
            time_of_day: Unix seconds.

        Raises:
            DataDirInUse: Another process has it.
            OSError: It cannot be made or opened.
        """
        loop = asyncio.get_running_loop()
        lock_descriptor = await loop.run_in_executor(None, lock, options.data_dir)
        disk = disk or Disk(options.data_dir)
        return cls(options, disk, lock_descriptor, executors, clock, time_of_day)

    async def start(self) -> None:
        """Do again what the last run left in the journal, and begin to take writes.

        Raises:
            DataDirUnusable: The directory is of a newer format, or no data directory.
            OSError: The disk fails.
        """
        await self._loop.run_in_executor(self._writer, self._recover)
        self._start()

    def _recover(self) -> None:
        disk, options = self.disk, self._options
        disk.probe()
        is_copy = prepare(disk, self._lock, options.journal_segment_bytes)
        self.recovered = recover(disk, is_copy=is_copy)
        self._journal.resume(self.recovered.use, self.recovered.number)
        if is_copy:
            now = int(self._time_of_day())
            self.recovered.removed = adopt(disk, self._descriptors, self._journal, now)
            mark_original(disk, self._lock)
        elif Journal.segment_bytes(disk) != {options.journal_segment_bytes}:
            self._journal.renew()

    def _start(self) -> None:
        directory = OpenDirectory(
            self.disk,
            self._journal,
            self._descriptors,
            self._options,
            self._clock,
            self._time_of_day,
        )
        self._checkpointer = Checkpointer(directory, self._background, self._syncers)
        self._committer = Committer(directory, self._checkpointer, self._writer)
        self._checkpointer.freed = self._committer.kick
        self.upkeep = Upkeep(directory, self._committer, self._checkpointer, self._housekeeping)
        self._checkpoints = asyncio.create_task(self._checkpointer.run(), name="checkpoints")
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)
        self._started = True

    def _tick(self) -> None:
        self._committer.retire()
        self._committer.probe()
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    @property
    def pending_bytes(self) -> int:
        """Lines on their way to the disk."""
        return self._committer.pending_bytes

    @property
    def trouble(self) -> str | None:
        """Why writes fail, or None."""
        return self._committer.trouble or self._checkpointer.trouble

    def commit(self, appends: Sequence[Append], done: Done) -> None:
        """Commit lines together or not at all; `done` is told when they last, or what failed.

        Raises:
            WriteRefused: One of the logs takes nothing now, or too much is on its way to the disk;
                `done` is not called, here and below.
            UnitTooLarge: It is more than can be written at once.
            DamagedRecord: One of the logs takes nothing until it is repaired.
        """
        self._committer.submit(appends, done)

    def read(
        self, record_log: RecordLog, places: Sequence[Place], cut: Cut = payload
    ) -> list[bytes] | asyncio.Future[list[bytes]]:
        """Return objects, or what else `cut` takes: at once when in memory, else as a future.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
        """
        found = record_log.read_now(places, cut)
        if found is not None:
            return found
        self._descriptors.trim()
        return self._loop.run_in_executor(self._readers, record_log.read, places, cut)

    def read_page(
        self, record_log: RecordLog, positions: range, cut: Cut = payload
    ) -> list[bytes] | asyncio.Future[list[bytes]]:
        """Do what `read` does for the entries at some positions of the log's index.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
        """
        found = record_log.page_now(positions) if cut is payload else None
        return self.read(record_log, record_log.places(positions), cut) if found is None else found

    async def open_thread(self, org: str, thread_id: str) -> ThreadLog:
        """Open a thread that its catalogue lists.

        Raises:
            DamagedRecord: Its file is missing, unreadable at its head, or another's.
            WriteRefused: Nothing of it has reached its file, which will have it soon.
        """
        opened = ThreadLog(thread_path(org, thread_id), self.disk, self._descriptors)
        if isinstance(owed := self._committer.owed_log(opened.path), ThreadLog):
            return owed
        await self._loop.run_in_executor(self._readers, self._opener.thread, opened, thread_id)
        self._descriptors.trim()
        return opened

    async def open_catalog(self, org: str) -> CatalogLog:
        """Open an organisation's catalogue; one that was never written to is empty.

        Raises:
            DamagedRecord: It is missing though there are threads, or unreadable at its head.
        """
        opened = CatalogLog(catalog_path(org), self.disk, self._descriptors)
        if isinstance(owed := self._committer.owed_log(opened.path), CatalogLog):
            return owed
        await self._loop.run_in_executor(self._readers, self._opener.catalog, opened, org)
        return opened

    def new_thread(self, org: str, thread_id: str) -> ThreadLog:
        """Return the empty log of a thread that is about to be created."""
        return ThreadLog(thread_path(org, thread_id), self.disk, self._descriptors)

    def tend(self, record_log: RecordLog) -> None:
        """See to what a log needs now and then, after something was committed to it."""
        self._sidecars.tend(record_log)
        self.upkeep.tend(record_log)

    def leave(self, record_log: RecordLog) -> None:
        """See to what a log needs when nobody keeps it open any more."""
        self._sidecars.leave(record_log)

    async def settled(self) -> None:
        """Return when everything handed in is answered."""
        await self._committer.settled()

    async def close(self) -> None:
        """Answer what is queued, make every file durable, free the journal and the lock."""
        if self._started:
            # In this order: an answer may begin a compaction.
            await self._committer.settled()
            await self.upkeep.close()
            await self._committer.settled()
            self._ticker.cancel()
            self._journal.abandon()
            self._checkpointer.close()
            await self._checkpoints
        for executor in self._executors:
            executor.shutdown(wait=True)
        self._descriptors.close()
        self.disk.release()
        os.close(self._lock)
