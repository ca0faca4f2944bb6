"""The reaper: files of deleted threads are removed, late and a few at a time.

Late, so that a copy that met a thread in its catalogue finds its file too, and so that no segment
of the journal names a file that is gone. What is to be removed is told by the tombstones of the
catalogues; at the start they are read once, in the background.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import msgspec

from storage.datadir import ORG_NAME, ORGS, catalog_path, thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.journal import Journal
from storage.options import Options
from storage.record import REMOVES
from storage.scan import lines

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class Tombstone(msgspec.Struct, frozen=True):
    """The object of a deleted record.

    Attributes:
        id: What was deleted.
        deleted_at: Unix seconds; 0 when it never came to be whole.
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

    def __init__(
        self,
        disk: Disk,
        journal: Journal,
        descriptors: Descriptors,
        executor: Executor,
        options: Options,
        clock: Callable[[], float],
    ) -> None:
        """Take what it works on; `clock` is the time of day, Unix seconds."""
        self._disk = disk
        self._journal = journal
        self._descriptors = descriptors
        self._executor = executor
        self._options = options
        self._clock = clock
        self._graves: deque[_Grave] = deque()
        self._known = asyncio.Event()
        self._stuck = 0
        self._loop = asyncio.get_running_loop()

    def bury(self, org: str, thread_id: str, deleted_at: int) -> None:
        """Remember to remove the file of a thread whose tombstone is durable."""
        self._graves.append(_Grave(org, thread_id, deleted_at, self._journal.use))

    async def run(self) -> None:
        """Remove what is due, until cancelled."""
        while True:
            try:
                found = await self._loop.run_in_executor(self._executor, self._find)
            except OSError as error:
                log.error("the deleted threads are not known yet: %s", error)
                await asyncio.sleep(TICK_SECONDS)
            else:
                self._graves.extendleft(found)
                self._known.set()
                break
        while True:
            await self.reap(self._options.reap_seconds, self._options.reap_files_per_second)
            await asyncio.sleep(TICK_SECONDS)

    async def reap_all(self) -> int:
        """Remove files of all deleted threads but those that the journal may name; tell how many.

        At the start that waits until they are known.

        Raises:
            OSError: Some of them could not be removed.
        """
        await self._known.wait()
        count = await self.reap(-math.inf, sys.maxsize)
        if self._stuck:
            raise OSError(f"files of {self._stuck} deleted threads could not be removed")
        return count

    async def reap(self, age_seconds: float, files_max: int) -> int:
        """Remove files of threads deleted so long ago; return how many.

        Files that the journal may still name are left for another time.
        """
        horizon = self._clock() - age_seconds
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
        """Read every catalogue for threads that were deleted and have a file; newest first."""
        found = []
        for org in self._disk.names(ORGS):
            path = catalog_path(org) if ORG_NAME.fullmatch(org) else ""
            if not path or not self._disk.exists(path):
                continue
            with self._disk.opened(path) as descriptor:
                for line in lines(self._disk, descriptor, 0, self._disk.size(descriptor)):
                    if line.kind not in REMOVES or line.fault:
                        continue
                    tombstone = msgspec.json.decode(line.payload, type=Tombstone)
                    if self._disk.exists(thread_path(org, tombstone.id)):
                        found.append(_Grave(org, tombstone.id, tombstone.deleted_at, 0))
        # One of them may have been deleted since the start: then the journal names its file.
        use = self._journal.use
        found.sort(key=lambda grave: -grave.deleted_at)
        return [grave._replace(use=use) for grave in found]

    def _remove(self, graves: list[_Grave]) -> list[_Grave]:
        """Remove the files of some threads; return those that are left for another time."""
        left = []
        for grave in graves:
            path = thread_path(grave.org, grave.thread_id)
            self._descriptors.distrust(path)
            stem = path.removesuffix(".jsonl")
            try:
                for each in (path, f"{stem}.idx", f"{path}.new"):
                    self._disk.unlink(each)
            except OSError as error:
                log.error("%s was not removed: %s", path, error)
                left.append(grave)
        if len(left) < len(graves):
            log.info("the files of %d deleted threads were removed", len(graves) - len(left))
        return left
