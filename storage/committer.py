"""Group commit: what many actors want written becomes one batch, one sync, then their answers.

A unit is the lines that stand or fall together. Units queue while a batch is on its way to the
disk; then all of them are the next batch. For each batch, on the committer's own thread:

    1. the journal takes the frames of all lines, durably: from here on a crash loses nothing;
    2. each file gets its lines, one positioned write each, in the page cache;

and back in the event loop the indices take the lines in and the units are answered. In that order
no byte is in a file that the journal does not hold, and no acknowledged line is missing from its
file.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from storage.append import Append, Done, Unit
from storage.batch import next_batch
from storage.batch_writer import BatchWriter
from storage.checkpoint import Checkpointer
from storage.datadir import OpenDirectory
from storage.errors import Overloaded, StorageError, UnitTooLarge, WriteFailed, WriteRefused
from storage.owed import Owed, not_writable
from storage.record_log import RecordLog
from storage.segment import Frame

log = logging.getLogger(__name__)

_FRAMES_BYTES_MAX = 8192
"""What the frames of one unit add to it, at most."""
FREE_SEGMENT_SECONDS_MAX = 10.0
"""How long a batch waits for a checkpoint to free a segment before it is refused."""


class Committer:
    """The one writer of the data directory. Its methods belong to the event loop.

    Attributes:
        pending_bytes: Lines handed in and not answered yet.
    """

    def __init__(
        self, directory: OpenDirectory, checkpointer: Checkpointer, executor: Executor
    ) -> None:
        self._clock = directory.clock
        self._journal = directory.journal
        self._descriptors = directory.descriptors
        self._options = directory.options
        self._checkpointer = checkpointer
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._writer = BatchWriter(directory)
        self._queue: deque[Unit] = deque()
        self._unit_bytes_max = self._journal.unit_bytes_max - _FRAMES_BYTES_MAX
        self._writing = False
        self._kicked = False
        self._waiting_since: float | None = None
        self._jobs: deque[tuple[Callable[[], None], asyncio.Future[None]]] = deque()
        self._owed = Owed(checkpointer, executor)
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending_bytes = 0
        self._refused: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the journal did not take the last batch, or a file its lines; None if neither."""
        return self._refused or self._owed.reason

    def submit(self, appends: Sequence[Append], done: Done) -> None:
        """Queue one unit; `done` is called when it is durable and readable, or has failed.

        Raises:
            Overloaded: Too much is queued already; `done` is not called, here and below.
            WriteRefused: One of the logs cannot take anything now.
            UnitTooLarge: It is more than the journal can take at once.
            DamagedRecord: One of the logs is not as it was written at its end.
        """
        unit = Unit(appends, done)
        refused = self._refusal(unit)
        if refused is not None:
            for append in appends:
                append.log.settle(append, committed=False)
            raise refused
        self._queue.append(unit)
        self.pending_bytes += unit.size
        self._idle.clear()
        self.kick()

    def _refusal(self, unit: Unit) -> StorageError | None:
        """Say why a unit cannot be taken, if it cannot."""
        if unit.size > self._unit_bytes_max:
            return UnitTooLarge(unit.size, self._unit_bytes_max)
        if self.pending_bytes + unit.size > self._options.pending_bytes_max:
            return Overloaded("too much is on its way to the disk")
        for append in unit.appends:
            target = append.log
            if target.owed or target.is_cut:
                return not_writable(target)
        return None

    def kick(self) -> None:
        """Start the next batch soon, so that all who are about to submit are in it."""
        if not self._kicked and not self._writing:
            self._kicked = True
            self._loop.call_soon(self._start)

    def probe(self) -> None:
        """See whether writes work again after one failed, though nobody asks for any.

        Whoever sends no write to a server that is in trouble could not find out otherwise. The
        probe is a batch of nothing: it goes all the way of any other.
        """
        if self._refused is None or self._writing or self._queue or self._jobs:
            return
        rotate = not self._journal.has_room(())
        if rotate and not self._journal.next_is_free:
            return
        self._idle.clear()
        self._write([], [], rotate)

    def retire(self) -> None:
        """Let an old segment be made durable though no write comes any more."""
        if not self._writing and self._is_due():
            self._journal.abandon()
            self._checkpointer.look()

    def owed_log(self, path: str) -> RecordLog | None:
        """Return the log of a file that misses lines which the journal holds, or None.

        Raises:
            WriteRefused: It is that of a thread whose create is owed: there is nothing of it yet.
        """
        return self._owed.log_of(path)

    def alone(self, job: Callable[[], None]) -> asyncio.Future[None]:
        """Run a job on the committer's thread while no batch is on its way."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.append((job, done))
        self._idle.clear()
        self.kick()
        return done

    async def settled(self) -> None:
        """Return when nothing is queued or on its way."""
        await self._idle.wait()

    def _start(self) -> None:
        self._kicked = False
        if self._writing:
            return
        while self._jobs:
            job, answer = self._jobs.popleft()
            if answer.cancelled():
                continue
            self._writing = True
            alone = self._loop.run_in_executor(self._executor, job)
            alone.add_done_callback(partial(self._finish_job, answer))
            return
        if not self._queue:
            self._idle.set()
            return
        units, frames = next_batch(self._queue, self._journal.unit_bytes_max)
        rotate = not self._journal.has_room(frames) or self._is_due()
        if rotate and not self._journal.next_is_free:
            self._wait_for_segment()
            return
        self._waiting_since = None
        for _ in units:
            self._queue.popleft()
        self._write(units, frames, rotate)

    def _finish_job(self, answer: asyncio.Future[None], work: asyncio.Future[None]) -> None:
        self._writing = False
        if not answer.done():
            error = work.exception()
            answer.set_result(None) if error is None else answer.set_exception(error)
        self._start()

    def _is_due(self) -> bool:
        current = self._journal.current
        return (
            current is not None
            and (
                len(current.dirty) >= self._options.dirty_files_max
                or self._clock() - current.since > self._options.checkpoint_seconds
            )
            and self._journal.next_is_free
        )

    def _wait_for_segment(self) -> None:
        """All segments are in use: the checkpointer kicks when one is free; not for ever."""
        now = self._clock()
        if self._waiting_since is None:
            self._waiting_since = now
            log.warning("every journal segment is in use: writes wait for a checkpoint")
            self._loop.call_later(FREE_SEGMENT_SECONDS_MAX, self.kick)
        elif now - self._waiting_since >= FREE_SEGMENT_SECONDS_MAX * 0.99:
            self._waiting_since = None
            self._fail([], {}, WriteRefused("every journal segment waits for its checkpoint"))
            if not self._queue:
                self._idle.set()

    def _write(self, units: list[Unit], frames: list[Frame], rotate: bool) -> None:
        """Send a batch on its way; `_finish` goes on. No future: that takes as long as a sync."""
        self._writing = True
        self._executor.submit(self._write_and_tell, units, frames, rotate)

    def _write_and_tell(self, units: list[Unit], frames: list[Frame], rotate: bool) -> None:
        """Write a batch, and have the event loop told of it; on the committer's thread."""
        failed: dict[str, OSError] = {}
        error: StorageError | None = None
        try:
            failed = self._writer.write(frames, rotate)
        except StorageError as refused:
            error = refused
        except Exception as fault:
            log.exception("the committer failed")
            error = WriteFailed(f"the committer failed: {fault!r}")
        self._loop.call_soon_threadsafe(self._finish, units, failed, error)

    def _finish(
        self, units: list[Unit], failed: dict[str, OSError], error: StorageError | None
    ) -> None:
        self._writing = False
        self._checkpointer.look()
        self._descriptors.trim()
        if failed:
            path, cause = next(iter(failed.items()))
            error = WriteFailed(f"the journal holds what the file does not: {cause}", path=path)
        if error is not None:
            self._fail(units, failed, error)
        else:
            self._took()
            for unit in units:
                self.pending_bytes -= unit.size
                for append in unit.appends:
                    append.log.settle(append, committed=True)
            for unit in units:
                unit.done(None)
        self._start()

    def _took(self) -> None:
        """The journal took a batch."""
        if self._refused is not None:
            log.warning("writes succeed again")
        self._refused = None

    def _fail(self, units: list[Unit], failed: dict[str, OSError], error: StorageError) -> None:
        """Settle a batch that did not go well, and refuse what queued behind it, planned upon it.

        Args:
            units: The batch.
            failed: The files that did not take what the journal holds; when there are none, no
                file has anything of the batch.
            error: What the askers are told.
        """
        if error.reason != self.trouble:
            log.error("writes fail: %s", error)
        if failed:
            self._took()
        else:
            self._refused = error.reason
        outcomes: list[tuple[Unit, StorageError | None]] = []
        for unit in units:
            for append in unit.appends:
                if append.log.path in failed:
                    self._owed.owe(append, error.reason)
                else:
                    append.log.settle(append, committed=bool(failed))
            whole = failed and not any(append.log.owed for append in unit.appends)
            outcomes.append((unit, None if whole else error))
        refused = WriteRefused("the batch before this one failed")
        for unit in self._queue:
            for append in unit.appends:
                append.log.settle(append, committed=False)
            outcomes.append((unit, refused))
        self._queue.clear()
        for unit, outcome in outcomes:
            self.pending_bytes -= unit.size
            unit.done(outcome)
