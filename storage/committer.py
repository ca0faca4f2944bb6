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

from storage.checkpoint import Checkpointer
from storage.descriptors import Descriptor, Descriptors
from storage.durable import Disk, and_above
from storage.errors import DamagedRecord, NoRoom, StorageError, WriteFailed, WriteRefused
from storage.journal import Journal
from storage.options import Options
from storage.record_log import Append, RecordLog
from storage.segment import ALIGNMENT, Frame

log = logging.getLogger(__name__)

BATCH_BYTES_MAX = 8 * 1024 * 1024
BATCH_LINES_MAX = 1000
_FRAME_BYTES = 160
"""What a line in a file of its own adds to a batch, in bytes, besides itself."""
_NAMES_RESERVED = 64
"""Files that can be made must be so many: a thread that gets none owes its lines to the journal."""
FREE_SEGMENT_SECONDS_MAX = 10.0
"""How long a batch waits for a checkpoint to free a segment before it is refused."""
OWED_RETRY_SECONDS = 1.0

Done = Callable[[StorageError | None], None]


class Unit:
    """Lines that are committed together or not at all.

    Attributes:
        appends: In the order in which they are to stand in their logs.
        done: Called in the event loop, once, with None or with what went wrong.
        size: Bytes of all lines.
    """

    __slots__ = ("appends", "done", "size")

    def __init__(self, appends: Sequence[Append], done: Done) -> None:
        self.appends = appends
        self.done = done
        self.size = sum([len(append.line) for append in appends])


def _not_writable(target: RecordLog) -> StorageError:
    if target.torn:
        return DamagedRecord(
            "the file ends in the middle of a line", path=target.path, offset=target.last_offset
        )
    return WriteRefused("the file still misses lines that the journal holds", path=target.path)


class Committer:
    """The one writer of the data directory. Its methods belong to the event loop.

    Attributes:
        pending_bytes: Lines handed in and not answered yet.
    """

    def __init__(
        self,
        disk: Disk,
        journal: Journal,
        descriptors: Descriptors,
        checkpointer: Checkpointer,
        executor: Executor,
        options: Options,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._disk = disk
        self._journal = journal
        self._descriptors = descriptors
        self._checkpointer = checkpointer
        self._executor = executor
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Unit] = deque()
        self._writing = False
        self._kicked = False
        self._waiting_since: float | None = None
        self._folders: set[str] = set()
        self._jobs: deque[tuple[Callable[[], None], asyncio.Future[None]]] = deque()
        self._owed: dict[RecordLog, list[Append]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending_bytes = 0
        self._refused: str | None = None
        self._lacking: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the journal did not take the last batch, or a file its lines; None if neither."""
        return self._refused or self._lacking

    def submit(self, appends: Sequence[Append], done: Done) -> None:
        """Queue one unit; `done` is called when it is durable and readable, or has failed.

        Raises:
            WriteRefused: One of the logs cannot take anything now; `done` is not called.
            DamagedRecord: One of them ends in the middle of a line.
        """
        for append in appends:
            if append.log.owed or append.log.torn:
                for each in appends:
                    each.log.settle(each, committed=False)
                raise _not_writable(append.log)
        unit = Unit(appends, done)
        self._queue.append(unit)
        self.pending_bytes += unit.size
        self._idle.clear()
        self.kick()

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
        self._writing = True
        work = self._loop.run_in_executor(self._executor, self._write, [], rotate)
        work.add_done_callback(lambda done: self._finish([], done))

    def retire(self) -> None:
        """Let an old segment be made durable though no write comes any more."""
        if not self._writing and self._is_due():
            self._journal.abandon()
            self._checkpointer.look()

    def check_whole(self, path: str) -> None:
        """Insist that a file holds all that the journal does, so that it can be opened.

        Raises:
            WriteRefused: It still misses lines.
        """
        for owed in self._owed:
            if owed.path == path:
                raise _not_writable(owed)

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
        units, frames = self._next_batch()
        rotate = not self._journal.has_room(frames) or self._is_due()
        if rotate and not self._journal.next_is_free:
            self._wait_for_segment()
            return
        self._waiting_since = None
        for _ in units:
            self._queue.popleft()
        self._writing = True
        work = self._loop.run_in_executor(self._executor, self._write, frames, rotate)
        work.add_done_callback(lambda done: self._finish(units, done))

    def _finish_job(self, answer: asyncio.Future[None], work: asyncio.Future[None]) -> None:
        self._writing = False
        error = work.exception()
        if answer.cancelled():
            pass
        elif error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)
        self._start()

    def _next_batch(self) -> tuple[list[Unit], list[Frame]]:
        units: list[Unit] = []
        lines: dict[RecordLog, list[bytes]] = {}
        ends: dict[RecordLog, int] = {}
        size, count = 2 * ALIGNMENT, 0  # A batch has a head, and ends at a multiple.
        size_max = min(BATCH_BYTES_MAX, self._journal.unit_bytes_max)
        for unit in self._queue:
            count += len(unit.appends)
            size += unit.size + _FRAME_BYTES * len(unit.appends)
            if units and (size > size_max or count > BATCH_LINES_MAX):
                break
            units.append(unit)
            for append in unit.appends:
                target = append.log
                append.offset = ends.setdefault(target, target.end)
                ends[target] += len(append.line)
                lines.setdefault(target, []).append(append.line)
        return units, [
            Frame(target.path, target.generation, target.end, b"".join(its))
            for target, its in lines.items()
        ]

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

    def _write(self, frames: list[Frame], rotate: bool) -> dict[str, OSError]:
        """Commit one batch; on the committer's thread. Returns the files that did not take it.

        Raises:
            NoRoom: Nothing was written.
            WriteRefused: Nothing was written.
            WriteFailed: The outcome is unknown.
        """
        started = self._clock()
        wanted = sum([len(frame.data) for frame in frames])
        try:
            free = self._disk.free_bytes()
        except OSError as error:
            raise WriteRefused(f"the file system does not answer: {error}") from error
        if free < self._options.disk_reserve_bytes + wanted:
            raise NoRoom(
                f"{free} bytes are free, the reserve is {self._options.disk_reserve_bytes}",
                hint="free some space, or lower [storage] disk_reserve_bytes",
            )
        names = self._disk.free_names()
        if names is not None and names < _NAMES_RESERVED + len(frames):
            raise NoRoom(
                f"{names} more files can be made, {_NAMES_RESERVED} are reserved",
                hint="remove some files, or make a file system with more inodes",
            )
        if rotate:
            self._journal.rotate()
        self._journal.write(frames)
        seconds = self._clock() - started
        if seconds > self._options.sync_slow_seconds:
            log.warning("a journal sync took %.3f s", seconds)
        failed: dict[str, OSError] = {}
        for frame in frames:
            try:
                self._materialise(frame)
            except OSError as error:
                self._descriptors.distrust(frame.path)
                self._journal.owe(frame.path)
                failed[frame.path] = error
        return failed

    def _materialise(self, frame: Frame) -> None:
        """Put a frame's bytes into its file, and note what the checkpoint has to sync."""
        segment = self._journal.current
        assert segment is not None
        new = frame.offset == 0
        if new:
            folder = frame.path.rpartition("/")[0]
            if folder not in self._folders:
                # All that may get a new name, before it does: making them may fail half-way.
                segment.directories.update(and_above(folder))
                self._disk.make_directory(folder)
                self._folders.add(folder)
            segment.directories.add(folder)
        descriptor = self._descriptors.acquire(frame.path, create=new)
        known: Descriptor | None = segment.dirty.get(frame.path)
        if known is descriptor:
            self._descriptors.release(descriptor)
        else:
            segment.dirty[frame.path] = descriptor
            if known is not None:
                self._descriptors.release(known)
        self._disk.write(descriptor.number, frame.data, frame.offset)

    def _finish(self, units: list[Unit], work: asyncio.Future[dict[str, OSError]]) -> None:
        self._writing = False
        self._checkpointer.look()
        self._descriptors.trim()
        error: StorageError | None = None
        failed: dict[str, OSError] = {}
        try:
            failed = work.result()
        except StorageError as refused:
            error = refused
        except Exception as fault:
            log.exception("the committer failed")
            error = WriteFailed(f"the committer failed: {fault!r}")
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
            self._lacking = error.reason
        else:
            self._refused = error.reason
        outcomes: list[tuple[Unit, StorageError | None]] = []
        for unit in units:
            for append in unit.appends:
                if append.log.path in failed:
                    self._owe(append)
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

    def _owe(self, append: Append) -> None:
        """The line stays pending until its file has it, so that nothing is planned on top of it."""
        if not self._owed:
            self._loop.call_later(OWED_RETRY_SECONDS, self._pay)
        append.log.owed = True
        self._owed.setdefault(append.log, []).append(append)

    def _pay(self) -> None:
        work = self._loop.run_in_executor(
            self._executor, self._checkpointer.rewrite, [each.path for each in self._owed]
        )
        work.add_done_callback(self._paid)

    def _paid(self, work: asyncio.Future[set[str]]) -> None:
        for target in [each for each in self._owed if each.path in work.result()]:
            for append in self._owed.pop(target):
                target.settle(append, committed=True)
            target.owed = False
            log.warning("%s has again all that the journal holds of it", target.path)
        if self._owed:
            self._loop.call_later(OWED_RETRY_SECONDS, self._pay)
        else:
            self._lacking = None
        self._checkpointer.look()
