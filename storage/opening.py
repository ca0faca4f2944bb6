"""How a log is opened: its index is filled, and its name is sure to last."""

from __future__ import annotations

from storage.datadir import org_path
from storage.descriptors import Descriptors
from storage.durable import Disk, and_above
from storage.gap import gap_path
from storage.kinds import CatalogLog
from storage.loading import load
from storage.record_log import RecordLog


class Opener:
    """Fills logs from their files; its methods block, and several threads may call them."""

    def __init__(self, disk: Disk, descriptors: Descriptors) -> None:
        self._disk = disk
        self._descriptors = descriptors
        self._lasting: set[str] = set()

    def thread(self, opened: RecordLog, owner: str) -> None:
        """Fill a log from its file, which must be there.

        Raises:
            DamagedRecord: It is missing, unreadable at its head, or another's.
            OSError: It cannot be read.
        """
        load(opened, self._disk, owner=owner)
        folder = opened.path.rpartition("/")[0]
        if opened.generation > 1 and folder not in self._lasting:
            # A run that was killed just after it renamed this generation left the name in memory,
            # and a frame that names the generation would find the one before after a power cut.
            for each in and_above(folder):
                self._disk.sync_directory(each)
            self._lasting.add(folder)
        self._descriptors.release(self._descriptors.acquire(opened.path))

    def catalog(self, opened: CatalogLog, org: str) -> None:
        """Fill a catalogue from its file; where there are no threads either it is empty.

        Raises:
            DamagedRecord: It is missing though there are threads, or unreadable at its head.
            OSError: It cannot be read.
        """
        disk, folder = self._disk, f"{org_path(org)}/threads"
        there = disk.exists(opened.path) or disk.exists(gap_path(opened.path))
        fresh = not there and not any(
            name.endswith(".jsonl")
            for each in disk.names(folder)
            for name in disk.names(f"{folder}/{each}")
        )
        if not fresh:
            self.thread(opened, org)
