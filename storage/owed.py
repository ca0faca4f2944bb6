"""What is owed: lines that the journal holds and their file does not, as its own write failed.

The lines stay pending until the file has them, so that nothing is planned on top of them; until
then the file takes nothing else. They are written again from the journal, through a fresh
descriptor.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

from storage.append import Append
from storage.checkpoint import Checkpointer
from storage.errors import DamagedRecord, StorageError, WriteRefused
from storage.kinds import ThreadLog
from storage.record_log import RecordLog

log = logging.getLogger(__name__)

OWED_RETRY_SECONDS = 1.0


def not_writable(target: RecordLog) -> StorageError:
    """Return why a log takes nothing now."""
    if target.gap:
        return DamagedRecord(
            "lines that stood behind the end are lost", path=target.path, offset=target.end
        )
    if target.torn:
        return DamagedRecord(
            "the file ends in the middle of a line", path=target.path, offset=target.last_offset
        )
    return WriteRefused("the file still misses lines that the journal holds", path=target.path)


class Owed:
    """Every line that is owed. Its methods belong to the event loop.

    Attributes:
        reason: Why the newest of them is; None when there is none.
    """

    def __init__(self, checkpointer: Checkpointer, executor: Executor) -> None:
        self.reason: str | None = None
        self._checkpointer = checkpointer
        self._executor = executor
        self._lines: dict[RecordLog, list[Append]] = {}
        self._loop = asyncio.get_running_loop()

    def owe(self, append: Append, reason: str) -> None:
        """Take a line in that the journal holds, and see to it that its file gets it."""
        if not self._lines:
            self._loop.call_later(OWED_RETRY_SECONDS, self._pay)
        self.reason = reason
        append.log.owed = True
        self._lines.setdefault(append.log, []).append(append)

    def log_of(self, path: str) -> RecordLog | None:
        """Return the log of a file that is owed lines: it alone knows how much of it counts.

        Raises:
            WriteRefused: It is that of a thread whose create is owed: there is nothing of it yet.
        """
        for target in self._lines:
            if target.path == path:
                if isinstance(target, ThreadLog) and not target.end:
                    raise not_writable(target)
                return target
        return None

    def _pay(self) -> None:
        paths = [target.path for target in self._lines]
        work = self._loop.run_in_executor(self._executor, self._checkpointer.rewrite, paths)
        work.add_done_callback(self._paid)

    def _paid(self, work: asyncio.Future[set[str]]) -> None:
        for target in [each for each in self._lines if each.path in work.result()]:
            for append in self._lines.pop(target):
                target.settle(append, committed=True)
            target.owed = False
            log.warning("%s has again all that the journal holds of it", target.path)
        if self._lines:
            self._loop.call_later(OWED_RETRY_SECONDS, self._pay)
        else:
            self.reason = None
        self._checkpointer.look()
