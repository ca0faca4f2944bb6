"""The reaper: files of deleted threads are removed, late and a few at a time.

Late, so that a copy that met a thread in its catalogue finds its file too, and so that no segment
of the journal names a file that is gone. What is to be removed is told by the tombstones of the
catalogues; at the start these are searched once for them, in the background.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from typing import NamedTuple

import msgspec

from storage.datadir import ORG_NAME, ORGS, OpenDirectory, catalog_path, thread_path
from storage.errors import DamagedRecord
from storage.gap import gap_path
from storage.kinds import CatalogLog
from storage.loading import adds_alone_until
from storage.scan import Line, read_header, sound_lines

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
GRAVES_MAX = 100_000
"""So many deleted threads are kept in mind; of more than that the catalogues are read again."""


class Tombstone(msgspec.Struct, frozen=True):
    """The object of a deleted record.

    Attributes:
        id: What was deleted.
        deleted_at: Unix seconds; 0 in what former versions took out of a copy.
    """

    id: str
    deleted_at: int = 0


class _Grave(NamedTuple):
    org: str
    thread_id: str
    deleted_at: int
    use: int


class Reaper:
    """Removes the files of deleted threads. Its methods belong to the event loop."""

    def __init__(self, directory: OpenDirectory, executor: Executor) -> None:
        self._disk = directory.disk
        self._journal = directory.journal
        self._descriptors = directory.descriptors
        self._options = directory.options
        self._time_of_day = directory.time_of_day
        self._executor = executor
        self._graves: deque[_Grave] = deque()
        self._known = asyncio.Event()
        self._more = True
        self._scanning = asyncio.Lock()
        self._stuck = 0
        self._loop = asyncio.get_running_loop()

    def bury(self, org: str, thread_id: str, deleted_at: int) -> None:
        """Remember to remove the file of a thread whose tombstone is durable."""
        if len(self._graves) < GRAVES_MAX:
            self._graves.append(_Grave(org, thread_id, deleted_at, self._journal.use))
        else:
            self._more = True

    async def run(self) -> None:
        """Remove what is due, until cancelled."""
        while True:
            if self._more and len(self._graves) <= GRAVES_MAX // 2:
                try:
                    async with self._scanning:
                        await self._scan()
                except OSError as error:
                    log.error("the deleted threads are not known yet: %s", error)
                else:
                    self._known.set()
            await self.reap(self._options.reap_seconds, self._options.reap_files_per_second)
            await asyncio.sleep(TICK_SECONDS)

    async def _scan(self) -> None:
        """Learn from the catalogues who is to be removed, the longest deleted first."""
        self._more = False
        try:
            found = await self._loop.run_in_executor(self._executor, self._find)
        except BaseException:
            self._more = True
            raise
        self._more |= len(found) > GRAVES_MAX
        known = {grave.thread_id for grave in self._graves}
        found = [grave for grave in found[:GRAVES_MAX] if grave.thread_id not in known]
        self._graves = deque(sorted([*self._graves, *found], key=lambda grave: grave.deleted_at))

    async def reap_all(self) -> int:
        """Remove files of all deleted threads but those that the journal may name; tell how many.

        At the start that waits until they are known.

        Raises:
            OSError: Some of them could not be removed.
        """
        await self._known.wait()
        count = await self.reap(-math.inf, sys.maxsize)
        while self._more:
            async with self._scanning:
                await self._scan()
            removed = await self.reap(-math.inf, sys.maxsize)
            count += removed
            if not removed:
                break
        if self._stuck:
            raise OSError(f"files of {self._stuck} deleted threads could not be removed")
        return count

    async def reap(self, age_seconds: float, files_max: int) -> int:
        """Remove files of threads deleted so long ago; return how many.

        Files that the journal may still name are left for another time.
        """
        horizon = self._time_of_day() - age_seconds
        oldest_use = min((segment.use for segment in self._journal.in_use), default=1 << 63)
        due: list[_Grave] = []
        while self._graves and len(due) < files_max:
            grave = self._graves[0]
            if grave.deleted_at > horizon or grave.use >= oldest_use:
                break
            due.append(self._graves.popleft())
        if not due:
            return 0
        left = await self._loop.run_in_executor(self._executor, self._remove, due)
        self._graves.extend(left)
        self._stuck = len(left)
        return len(due) - len(left)

    def _find(self) -> list[_Grave]:
        """Return the threads that were deleted and have a file, one more than can be kept."""
        found = heapq.nsmallest(GRAVES_MAX + 1, self._all(), key=lambda grave: grave.deleted_at)
        # One of them may have been deleted since the start: then the journal names its file.
        use = self._journal.use
        return [grave._replace(use=use) for grave in found]

    def _all(self) -> Iterator[_Grave]:
        """Look in every catalogue for threads that were deleted and have a file."""
        for org in self._disk.names(ORGS):
            path = catalog_path(org) if ORG_NAME.fullmatch(org) else ""
            if not path or not self._disk.exists(path):
                continue
            for line in self._tombstones(CatalogLog(path, self._disk, self._descriptors)):
                try:
                    tombstone = msgspec.json.decode(line.payload, type=Tombstone)
                except msgspec.DecodeError:
                    continue  # No tombstone of a thread, whatever it is.
                if self._disk.exists(thread_path(org, tombstone.id)):
                    yield _Grave(org, tombstone.id, tombstone.deleted_at, 0)

    def _tombstones(self, catalog: CatalogLog) -> Iterator[Line]:
        """Yield a catalogue's tombstones, without reading what its sidecar tells is without any."""
        disk, start = self._disk, 0
        with disk.opened(catalog.path) as descriptor:
            with suppress(DamagedRecord):
                header, _ = read_header(disk, catalog.path, descriptor)
                start = adds_alone_until(catalog, disk, descriptor, header.generation)
            yield from sound_lines(disk, descriptor, catalog.REMOVE, start, disk.size(descriptor))

    def _remove(self, graves: list[_Grave]) -> list[_Grave]:
        """Remove the files of some threads; return those that are left for another time."""
        left = []
        for grave in graves:
            path = thread_path(grave.org, grave.thread_id)
            self._descriptors.distrust(path)
            stem = path.removesuffix(".jsonl")
            try:
                for each in (path, f"{stem}.idx", f"{path}.new", gap_path(path)):
                    self._disk.unlink(each)
            except OSError as error:
                log.error("%s was not removed: %s", path, error)
                left.append(grave)
        if len(left) < len(graves):
            log.info("the files of %d deleted threads were removed", len(graves) - len(left))
        return left
