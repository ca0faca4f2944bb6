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
    catalog_path,
    lock,
    mark_original,
    org_path,
    prepare,
    thread_path,
)
from storage.descriptors import Descriptors
from storage.durable import Disk, and_above
from storage.index import SIDECAR_RECORDS, pack, seal
from storage.journal import Journal
from storage.options import Options
from storage.reader import Place
from storage.record_log import CatalogLog, RecordLog, ThreadLog
from storage.recovery import Outcome, recover
from storage.scan import load
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
        self._readers = executors(READERS, "read")
        self._writer = executors(1, "commit")
        self._background = executors(1, "checkpoint")
        self._syncers = executors(SYNCERS, "sync")
        self._housekeeping = executors(1, "housekeeping")
        self._clock = clock
        self._time_of_day = time_of_day
        self._descriptors = Descriptors(disk, options.open_files_max)
        self._lasting: set[str] = set()
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
        if is_copy:
            adopt(disk, self._descriptors)
        # A copy may hold, behind an older header, batches of a use that it has yet to come to.
        if is_copy or Journal.segment_bytes(disk) != {options.journal_segment_bytes}:
            Journal.create(disk, options.journal_segment_bytes)
        if is_copy:
            mark_original(disk, self._lock)
        self._journal.resume(self.recovered.use, self.recovered.number)

    def _start(self) -> None:
        self._checkpointer = Checkpointer(
            self.disk,
            self._journal,
            self._descriptors,
            self._background,
            self._syncers,
            self._options,
            self._clock,
        )
        self._committer = Committer(
            self.disk,
            self._journal,
            self._descriptors,
            self._checkpointer,
            self._writer,
            self._options,
            self._clock,
        )
        self._checkpointer.freed = self._committer.kick
        self.upkeep = Upkeep(
            self.disk,
            self._journal,
            self._descriptors,
            self._committer,
            self._checkpointer,
            self._housekeeping,
            self._options,
            self._time_of_day,
        )
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

    @property
    def unit_bytes_max(self) -> int:
        """The longest unit that a batch can hold, its frames' own bytes allowed for."""
        return self._journal.unit_bytes_max - 8192

    def commit(self, appends: Sequence[Append], done: Done) -> None:
        """Commit lines together or not at all; `done` is told when they last, or what failed.

        Raises:
            WriteRefused: One of the logs takes nothing now; `done` is not called.
            DamagedRecord: One of the logs never will until it is repaired.
        """
        self._committer.submit(appends, done)

    def read(
        self, record_log: RecordLog, places: Sequence[Place]
    ) -> list[bytes] | asyncio.Future[list[bytes]]:
        """Return objects: at once when they are in memory, else as a future.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
        """
        found = record_log.read_now(places)
        if found is not None:
            return found
        return self._loop.run_in_executor(self._readers, record_log.read, places)

    async def open_thread(self, org: str, thread_id: str) -> ThreadLog:
        """Open a thread that its catalogue lists.

        Raises:
            DamagedRecord: Its file is missing, unreadable at its head, or another's.
            WriteRefused: It misses lines that the journal holds, and will have them soon.
        """
        opened = ThreadLog(thread_path(org, thread_id), self.disk, self._descriptors)
        self._committer.check_whole(opened.path)
        await self._loop.run_in_executor(self._readers, self._load, opened, thread_id)
        return opened

    async def open_catalog(self, org: str) -> CatalogLog:
        """Open an organisation's catalogue; one that was never written to is empty.

        Raises:
            DamagedRecord: It is missing though there are threads, or unreadable at its head.
            WriteRefused: It misses lines that the journal holds, and will have them soon.
        """
        opened = CatalogLog(catalog_path(org), self.disk, self._descriptors)
        self._committer.check_whole(opened.path)
        await self._loop.run_in_executor(self._readers, self._load_catalog, opened, org)
        return opened

    def new_thread(self, org: str, thread_id: str) -> ThreadLog:
        """Return the empty log of a thread that is about to be created."""
        return ThreadLog(thread_path(org, thread_id), self.disk, self._descriptors)

    def _load(self, opened: RecordLog, owner: str) -> None:
        load(opened, self.disk, owner=owner)
        folder = opened.path.rpartition("/")[0]
        if opened.generation > 1 and folder not in self._lasting:
            # A run that was killed just after it renamed this generation left the name in memory,
            # and a frame that names the generation would find the one before after a power cut.
            for each in and_above(folder):
                self.disk.sync_directory(each)
            self._lasting.add(folder)
        self._descriptors.release(self._descriptors.acquire(opened.path))

    def _load_catalog(self, opened: CatalogLog, org: str) -> None:
        disk, folder = self.disk, f"{org_path(org)}/threads"
        fresh = not disk.exists(opened.path) and not any(
            name.endswith(".jsonl")
            for each in disk.names(folder)
            for name in disk.names(f"{folder}/{each}")
        )
        if not fresh:
            self._load(opened, org)

    def tend(self, record_log: RecordLog) -> None:
        """See to what a log needs now and then, after something was committed to it.

        Its sidecar is due `SIDECAR_RECORDS` after the last one, or after an eighth of a longer log:
        so it costs each record the same, however long the log grows. A rewrite is due when enough
        of the log is dead.
        """
        records = record_log.index.records
        if records - record_log.sidecar_records >= max(SIDECAR_RECORDS, records // 8):
            self._save_index(record_log)
        self.upkeep.tend(record_log)

    def leave(self, record_log: RecordLog) -> None:
        """See to what a log needs when nobody keeps it open any more."""
        records = record_log.index.records
        if records >= SIDECAR_RECORDS and records > record_log.sidecar_records:
            self._save_index(record_log)

    def bury(self, org: str, thread_id: str, deleted_at: int) -> None:
        """Remember to remove the file of a deleted thread, later."""
        self.upkeep.bury(org, thread_id, deleted_at)

    async def compact(self, record_log: RecordLog) -> bool:
        """Rewrite a log without what is dead in it; tell whether that was done."""
        return await self.upkeep.compact(record_log)

    async def reap(self, *, now: bool = False) -> int:
        """Remove files of deleted threads that are due, or all that may go `now`; tell how many."""
        return await self.upkeep.reap(now=now)

    async def checkpoint(self) -> None:
        """Return when every file is durable by itself, and the journal has nothing to do."""
        await self.upkeep.checkpoint()

    def _save_index(self, record_log: RecordLog) -> None:
        if record_log.saving or record_log.owed or record_log.compacting:
            return
        records = record_log.index.records
        record_log.saving = True
        record_log.sidecar_records = records
        data = pack(
            record_log.index,
            generation=record_log.generation,
            covered=record_log.end,
            last_offset=record_log.last_offset,
            last_line=record_log.last_line,
        )
        work = self._loop.run_in_executor(
            self._readers, self._write_sidecar, record_log.sidecar_path, data
        )
        work.add_done_callback(lambda _: setattr(record_log, "saving", False))

    def _write_sidecar(self, path: str, data: bytes) -> None:
        try:
            self.disk.write_aside(path, seal(data), durable=False)
        except OSError as error:
            log.warning("%s was not written: %s", path, error)

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
        for executor in (
            self._readers,
            self._writer,
            self._background,
            self._syncers,
            self._housekeeping,
        ):
            executor.shutdown(wait=True)
        self._descriptors.close()
        self.disk.release()
        os.close(self._lock)
