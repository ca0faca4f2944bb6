"""Threads that have a file, and of whose creation or end no sound line of their catalogue tells.

In a catalogue that is damaged they are what its damaged lines were about; in one that is whole
there are none, but for a file that a crash brought back.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.datadir import THREAD_FILE
from storage.durable import Disk
from storage.kinds import CatalogLog
from storage.record import REPLACES
from storage.scan import lines, misfit


def thread_files(disk: Disk, org_path: str) -> Iterator[tuple[str, str]]:
    """Yield folder and id of each thread of which an organisation has a file, deleted ones too."""
    threads = f"{org_path}/threads"
    for folder in disk.names(threads):
        for name in disk.names(f"{threads}/{folder}"):
            if THREAD_FILE.fullmatch(name):
                yield f"{threads}/{folder}", name.removesuffix(".jsonl")


def stray_keys(disk: Disk, path: str, descriptor: int) -> list[int]:
    """Return the keys of threads that only a damaged or lost line of a catalogue can be about.

    Args:
        disk: Where everything lies.
        path: Of the catalogue.
        descriptor: Its file, open.

    Returns:
        Rising.
    """
    keys = {int(each[7:23], 16) for _, each in thread_files(disk, path.rpartition("/")[0])}
    for line in lines(disk, descriptor, 0, disk.size(descriptor)):
        # A version alone does not make it known: what it is a version of has to stand there too.
        if line.kind not in REPLACES and not (line.fault or misfit(CatalogLog, line)):
            keys.discard(CatalogLog.key_of_id(line.payload))
    return sorted(keys)
