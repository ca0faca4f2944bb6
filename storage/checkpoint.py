"""Checkpoints: every file that a full segment names is made durable, then the segment is free.

It happens in the background, oldest segment first, a few files at a time. No acknowledgement waits
for it unless every segment is in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor, wait

from storage.datadir import OpenDirectory
from storage.descriptors import Descriptor
from storage.durable import and_above
from storage.journal import Segment
from storage.scan import generation_of
from storage.segment import Frame
from storage.segment_file import segment_path

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
SYNCERS = 4
"""Files that are synced at a time."""
WHOLE_FILES = 32
"""So many dirty files are made durable by one call for all, where there is one to trust."""


class Checkpointer:
    """Frees the journal's segments. `rewrite` and what is private to threads may block.

    Attributes:
        freed: Called in the event loop whenever a segment has become free.
        trouble: Why the last checkpoint failed; None when it did not.
    """

    def __init__(self, directory: OpenDirectory, executor: Executor, syncers: Executor) -> None:
        self._clock = directory.clock
        self._disk = directory.disk
        self._journal = directory.journal
        self._descriptors = directory.descriptors
        self._options = directory.options
        self._executor = executor
        self._syncers = syncers
        self._work = asyncio.Event()
        self._freed = asyncio.Event()
        self._closing = False
        self._whole_trusted = True
        self._suspect: set[str] = set()
        self.freed: Callable[[], None] = lambda: None
        self.trouble: str | None = None

    def look(self) -> None:
        """See whether a segment waits to be freed."""
        if self._next() is not None:
            self._work.set()

    async def run(self) -> None:
        """Free segments until `close`, then free the last ones and return."""
        loop = asyncio.get_running_loop()
        while True:
            segment = self._next()
            if segment is None and self._closing:
                return
            if segment is None:
                self._work.clear()
                await self._work.wait()
                continue
            if await loop.run_in_executor(self._executor, self._checkpoint, segment):
                self.trouble = None
                self._freed.set()
                self._freed = asyncio.Event()
                self._descriptors.trim()
                self.freed()
            elif self._closing:
                log.error("a journal segment is left to the next start: %s", self.trouble)
                return
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def all_free(self) -> None:
        """Return when no segment is in use but the current one."""
        while self._next() is not None:
            await self._freed.wait()

    def close(self) -> None:
        """Let `run` come to its end; the journal takes no more batches."""
        self._closing = True
        self._work.set()

    def rewrite(self, paths: Collection[str]) -> set[str]:
        """Give files what the journal holds of them, durably, through fresh descriptors; blocks.

        Returns:
            Those of `paths` for which that succeeded.
        """
        done: set[str] = set()
        for path in paths:
            self._descriptors.distrust(path)
        try:
            # Only now: what is journalled from here on goes through other descriptors.
            held = self._journal.frames_of(paths) if paths else {}
        except OSError as error:
            log.error("the journal cannot be read, %d files wait for it: %s", len(paths), error)
            return done
        for path, frames in held.items():
            try:
                self._put(path, frames)
            except OSError as error:
                log.error("%s still lacks lines that the journal holds: %s", path, error)
                continue
            self._journal.paid(path)
            self._suspect.discard(path)
            done.add(path)
        return done

    def _put(self, path: str, frames: Iterable[Frame]) -> None:
        folder = path.rpartition("/")[0]
        self._disk.make_directory(folder)
        with self._disk.opened(path, create=True) as descriptor:
            generation = generation_of(self._disk, path, descriptor)
            for frame in frames:
                if generation in (None, frame.generation):
                    self._disk.write(descriptor, frame.data, frame.offset)
            self._disk.sync(descriptor)
        for each in and_above(folder):
            self._disk.sync_directory(each)

    def _next(self) -> Segment | None:
        """The oldest segment whose use has ended."""
        for segment in self._journal.in_use:
            return segment if segment is not self._journal.current else None
        return None

    def _checkpoint(self, segment: Segment) -> bool:
        """Make durable what a segment names, and free it; on the checkpointer's thread."""
        started = self._clock()
        count = len(segment.dirty)
        durable = self._sync_everything(segment) or self._sync_each(segment)
        # What failed once is written again through a descriptor of its own until that succeeds:
        # a second sync of the first would report success, and the bytes might be lost.
        durable |= self.rewrite(sorted(segment.dirty.keys() - durable))
        for path in durable:
            self._descriptors.release(segment.dirty.pop(path))
        try:
            for directory in sorted(segment.directories):
                self._disk.sync_directory(directory)
            lacking = segment.dirty.keys() | segment.owed
            if lacking:
                raise OSError(f"{len(lacking)} files are not durable, {min(lacking)} first")
            self._journal.free(segment)
        except OSError as error:
            self.trouble = f"{segment_path(segment.number)} cannot be freed: {error}"
            log.error("%s", self.trouble)
            return False
        segment.directories.clear()
        log.debug("checkpoint: %d files, %.3f s", count, self._clock() - started)
        return True

    def _sync_everything(self, segment: Segment) -> set[str]:
        """Make all files durable by one call, if many are dirty and it can be trusted."""
        if len(segment.dirty) < WHOLE_FILES or not self._whole_trusted:
            return set()
        try:
            done = self._disk.sync_everything()
        except OSError as error:
            log.error("the file system was not made durable: %s", error)
            # What failed may be of a later segment, and the next such call would not tell again.
            self._whole_trusted = False
            return set()
        if not done:
            return set()
        segment.directories.clear()
        return segment.dirty.keys() - self._suspect

    def _sync_each(self, segment: Segment) -> set[str]:
        """Make each file durable by itself, a few at a time; return those that were."""
        files = list(segment.dirty.items())
        parts = [files[start::SYNCERS] for start in range(min(SYNCERS, len(files)))]
        syncs = [self._syncers.submit(self._sync_part, part) for part in parts]
        wait(syncs)
        durable = {path for sync in syncs for path in sync.result()}
        self._suspect |= segment.dirty.keys() - durable
        return durable

    def _sync_part(self, files: list[tuple[str, Descriptor]]) -> set[str]:
        return {
            path
            for path, descriptor in files
            if path not in self._suspect and self._sync(path, descriptor)
        }

    def _sync(self, path: str, descriptor: Descriptor) -> bool:
        started = self._clock()
        try:
            self._disk.sync(descriptor.number)
        except OSError as error:
            log.error("%s was not made durable: %s", path, error)
            return False
        seconds = self._clock() - started
        if seconds > self._options.sync_slow_seconds:
            log.warning("%s: a sync took %.3f s", path, seconds)
        return True
