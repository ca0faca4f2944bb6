"""Compaction: the live records of a log are rewritten as its next generation.

While reads and writes go on, the live lines are copied into a file beside the log, then the lines
that came meanwhile. Then the log is held until nothing is on its way, the last lines are copied,
the new file is made durable, takes the log's name, and the directory is made durable: only now may
a frame of the journal name the new generation. A crash at any moment leaves the old file or the new
one under the name, each with every acknowledged line; frames of the other generation are skipped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor

from storage.committer import Committer
from storage.datadir import OpenDirectory
from storage.draft import Draft
from storage.durable import Disk, and_above
from storage.errors import DamagedRecord, NoRoom, StorageError
from storage.index import Index
from storage.kinds import CatalogLog
from storage.record import REMOVES
from storage.record_log import RecordLog
from storage.scan import Line, lines, misfit, read_header
from storage.sidecar_file import NO_SIDECAR

log = logging.getLogger(__name__)

_CATCH_UP_BYTES = 64 * 1024
_CATCH_UPS_MAX = 8
_RETRY_SECONDS = 1.0


class Rewrite(Draft):
    """A draft of what a log holds while it takes writes; its methods block.

    Attributes:
        covered: Bytes of the old generation whose meaning is in it.
    """

    def __init__(self, disk: Disk, target: RecordLog) -> None:
        old = target.index
        index = Index(last_key=old.last_key, last_ms=old.last_ms)
        super().__init__(disk, target, target.generation + 1, index)
        self.covered = target.end
        self._live = (old.keys[:], old.offsets[:], old.lengths[:])

    def copy(self) -> None:
        """Write the header and every record that was live when the draft was made, oldest first.

        Raises:
            DamagedRecord: A line, live or dead, does not read back as it was written.
            OSError: The disk fails.
        """
        disk, target = self._disk, self._target
        with disk.opened(target.path) as source:
            old, start = read_header(disk, target.path, source)
            self.begin(old.id, old.org, sealed=old.sealed is True)
            with disk.opened(self.path, create=True) as out:
                for key, offset, length in zip(*self._live, strict=True):
                    self.keep(target.ADD, key, disk.read(source, length, offset), offset)
                    self.flush(out)
                for line in self._dead(source, start):
                    if isinstance(target, CatalogLog) and line.kind in REMOVES:
                        self.keep_tombstone(line, old.org)
                self.flush(out, 1)

    def catch_up(self, end: int) -> None:
        """Write what the old generation got since, up to `end`.

        Raises:
            DamagedRecord: A line of it is not as it was written.
            OSError: The disk fails.
        """
        disk, target = self._disk, self._target
        with disk.opened(target.path) as source, disk.opened(self.path) as out:
            for line in self._sound(source, self.covered, end):
                key = target.key(line.sequence, line.payload)
                self.keep(line.kind, key, line.data, line.offset)
                self.flush(out)
            self.flush(out, 1)
        self.covered = end

    def take_name(self) -> None:
        """Write the last lines, make the draft durable and give it the log's name.

        Raises:
            OSError: The disk fails; the log has its old file still.
        """
        self.catch_up(self._target.end)
        super().take_name()

    def install(self) -> None:
        """Let the log be this generation; in the event loop, with nothing on its way."""
        target = self._target
        target.generation, target.index, target.end = self.generation, self.index, self.end
        target.last_offset, target.last_line = self.last_offset, self.last_line
        target.sidecar = NO_SIDECAR

    def _dead(self, source: int, start: int) -> Iterator[Line]:
        """Yield what is left behind, each line proved: damage must not vanish with what is dead."""
        _, offsets, lengths = self._live
        place = start
        for offset, length in sorted(zip(offsets, lengths, strict=True)):
            yield from self._sound(source, place, offset)
            place = offset + length
        yield from self._sound(source, place, self.covered)

    def _sound(self, source: int, start: int, end: int) -> Iterator[Line]:
        if start >= end:
            return
        for line in lines(self._disk, source, start, end):
            if fault := line.fault or misfit(self._target, line):
                raise DamagedRecord(fault, path=self._target.path, offset=line.offset)
            yield line


class Compactor:
    """Rewrites logs, one at a time. Its methods belong to the event loop."""

    def __init__(self, directory: OpenDirectory, committer: Committer, executor: Executor) -> None:
        self._disk = directory.disk
        self._descriptors = directory.descriptors
        self._reserve_bytes = directory.options.disk_reserve_bytes
        self._committer = committer
        self._executor = executor
        self._cramped = False
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def compact(self, target: RecordLog) -> Coroutine[None, None, bool]:
        """Replace a log by its next generation; its owner keeps it open from this call on.

        Returns:
            Whether that was done. A damaged log is left as it is, and so is one for which there is
            no room, or that fails to be rewritten; all are logged.
        """
        wanted = not target.compacting and target.end > 0
        target.compacting |= wanted
        return self._begin(target, wanted)

    async def _begin(self, target: RecordLog, wanted: bool) -> bool:
        if not wanted:
            return False
        try:
            async with self._turn:
                return await self._compact(target)
        except NoRoom as error:
            # It is asked for again and again until there is room: that need be said only once.
            if not self._cramped:
                log.warning("%s was not compacted, nor is any other: %s", target.path, error)
            self._cramped = True
            return False
        except (StorageError, OSError) as error:
            if isinstance(error, DamagedRecord):
                target.unfit_end = target.end
            log.error("%s was not compacted: %s", target.path, error)
            return False
        finally:
            target.compacting = False
            self._ended.set()
            self._ended = asyncio.Event()

    async def settled(self, target: RecordLog) -> None:
        """Return when the log is not being rewritten."""
        while target.compacting:
            await self._ended.wait()

    async def _compact(self, target: RecordLog) -> bool:
        before = target.end
        await self._run(self._insist_on_room, target.index.live_bytes)
        self._cramped = False
        draft = Rewrite(self._disk, target)
        try:
            await self._run(draft.copy)
            for _ in range(_CATCH_UPS_MAX):
                if target.end - draft.covered <= _CATCH_UP_BYTES:
                    break
                await self._run(draft.catch_up, target.end)
            # Now, so that little is left to sync while nobody else can write.
            await self._run(draft.sync)
            await self._quiet(target)
            if target.dropped or target.owed or target.is_cut:
                return False
            await self._committer.alone(draft.take_name)
            self._descriptors.distrust(target.path)
            draft.install()
            await self._name_lasts(target)
        finally:
            target.release()
            if target.generation != draft.generation:
                await self._run(self._disk.unlink, draft.path)
        log.info("%s: %d bytes became %d", target.path, before, target.end)
        return True

    def _insist_on_room(self, wanted: int) -> None:
        """Leave to the writers what is reserved for them.

        Raises:
            NoRoom: A second file of so many bytes would take of it.
        """
        free = self._disk.free_bytes()
        if free < self._reserve_bytes + wanted:
            raise NoRoom(
                f"{free} bytes are free, {wanted} are needed besides the reserve of "
                f"{self._reserve_bytes}",
                hint="free some space, or lower [storage] disk_reserve_bytes",
            )

    async def _quiet(self, target: RecordLog) -> None:
        """Return when nothing is on its way on the log, and nothing can begin."""
        quiet: asyncio.Future[None] = self._loop.create_future()
        target.hold(lambda: None if quiet.done() else quiet.set_result(None))
        await quiet

    async def _name_lasts(self, target: RecordLog) -> None:
        """Make the new file's name durable; until then the log takes no writes.

        Its folder may be so new that no checkpoint has made the folder's own name durable, and the
        journal could not bring back this generation as it could the one before.
        """
        folder = target.path.rpartition("/")[0]
        while True:
            try:
                for each in and_above(folder):
                    await self._run(self._disk.sync_directory, each)
            except OSError as error:
                log.error("%s: its new name is not durable: %s", target.path, error)
                target.owed = True
                target.release()
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                target.owed = False
                return

    async def _run(self, job: Callable[..., None], *arguments: object) -> None:
        await self._loop.run_in_executor(self._executor, job, *arguments)
