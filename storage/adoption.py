"""The first start of a copied data directory.

A copy made while the server ran holds every write that was acknowledged before the copy began, and
of later ones whatever the copying happened to meet: a thread in the catalogue whose file was passed
before it was made, a file whose catalogue had been passed already, the first half of a line. Here
the rests are tidied, once, so that afterwards any such finding is damage again. What is written for
that goes through the journal, as every line does: a power cut tears nothing.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec

from storage.datadir import ORG_NAME, ORGS, THREAD_FILE, catalog_path, org_path, thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.journal import Journal
from storage.kinds import CatalogLog
from storage.loading import load
from storage.reaper import Tombstone
from storage.record import REMOVES
from storage.recovery import cut_unfinished_line
from storage.scan import lines, misfit, read_header
from storage.segment import Frame

log = logging.getLogger(__name__)

_FRAME_BYTES = 1024
"""What a batch of one frame takes besides the frame's bytes, at most."""


def adopt(disk: Disk, descriptors: Descriptors, journal: Journal, now: int) -> int:
    """Make a copy whole in itself; blocks. Doing it twice, or dying half-way, comes to the same.

    Args:
        disk: The copy.
        descriptors: Of its files.
        journal: What the copy holds of it was done again; it is made anew.
        now: When what is taken out of it was deleted, Unix seconds.

    Returns:
        How many deleted threads had a file that was removed.

    Raises:
        StorageError: The journal takes nothing.
        OSError: The disk fails.
    """
    # A copy may hold, behind an older header, batches of a use that it has yet to come to.
    journal.renew()
    work = _Adoption(disk, descriptors, journal, now)
    for org in disk.names(ORGS):
        if ORG_NAME.fullmatch(org):
            _remove_derived(disk, org_path(org))
            work.organisation(org)
    return work.removed


class _Known(NamedTuple):
    """What a catalogue tells; `is_all` says that it is sure to tell of every thread."""

    listed: set[str]
    deleted: set[int]
    is_all: bool


_NOTHING = _Known(set(), set(), False)


class _Adoption:
    def __init__(self, disk: Disk, descriptors: Descriptors, journal: Journal, now: int) -> None:
        self._disk = disk
        self._descriptors = descriptors
        self._journal = journal
        self._now = now
        self.removed = 0

    def organisation(self, org: str) -> None:
        disk = self._disk
        catalog = CatalogLog(catalog_path(org), disk, self._descriptors)
        known = _known(disk, catalog, org)
        self._bury(catalog, sorted(each for each in known.listed if not _is_whole(disk, org, each)))
        kept = 0
        for folder in disk.names(f"{org_path(org)}/threads"):
            place = f"{org_path(org)}/threads/{folder}"
            _remove_derived(disk, place)
            for name in disk.names(place):
                thread_id = name.removesuffix(".jsonl")
                if not THREAD_FILE.fullmatch(name) or thread_id in known.listed:
                    continue
                if int(thread_id[7:23], 16) in known.deleted:
                    log.info("%s/%s is of a deleted thread and is removed", place, name)
                    self.removed += 1
                elif known.is_all:
                    text = "was created after its catalogue had been copied and is removed"
                    log.warning("%s/%s %s", place, name, text)
                else:
                    kept += 1
                    continue
                disk.unlink(f"{place}/{name}")
            disk.sync_directory(place)
        if kept:
            log.error("%s is missing, empty or damaged: %d files are kept", catalog.path, kept)

    def _bury(self, catalog: CatalogLog, thread_ids: list[str]) -> None:
        if not thread_ids:
            return
        text = "threads were not whole when they were copied and are taken out of it"
        log.warning("%s: %d %s", catalog.path, len(thread_ids), text)
        lines: list[bytes] = []
        for thread_id in thread_ids:
            log.warning("%s: %s is taken out", catalog.path, thread_id)
            data = msgspec.json.encode(Tombstone(thread_id, self._now))
            lines.append(catalog.remove(catalog.next_number, data).line)
        start = catalog.end
        room = (self._journal.unit_bytes_max - _FRAME_BYTES) // max(map(len, lines))
        for place in range(0, len(lines), room):
            data = b"".join(lines[place : place + room])
            self._append(Frame(catalog.path, catalog.generation, start, data))
            start += len(data)

    def _append(self, frame: Frame) -> None:
        """Write to a file as every batch is written, and checkpoint it at once."""
        disk, journal = self._disk, self._journal
        journal.rotate()
        journal.write([frame])
        with disk.opened(frame.path) as descriptor:
            disk.write(descriptor, frame.data, frame.offset)
            disk.sync(descriptor)
        journal.abandon()
        for segment in journal.in_use:
            journal.free(segment)


def _known(disk: Disk, catalog: CatalogLog, org: str) -> _Known:
    """Read a catalogue: a line that cannot be read, or was never copied, may be about any file."""
    deleted: set[int] = set()
    is_all = True
    try:
        cut_unfinished_line(disk, catalog.path)
        with disk.opened(catalog.path) as descriptor:
            for line in lines(disk, descriptor, 0, disk.size(descriptor)):
                if line.fault:
                    is_all = False
                elif line.kind in REMOVES and not misfit(catalog, line):
                    deleted.add(catalog.key_of_id(line.payload))
        load(catalog, disk, owner=org)
        return _Known(set(catalog.thread_ids()), deleted, is_all and catalog.index.records > 0)
    except FileNotFoundError:
        return _NOTHING
    except DamagedRecord as error:
        log.error("%s", error)
        return _NOTHING


def _is_whole(disk: Disk, org: str, thread_id: str) -> bool:
    """Cut a thread's torn tail; tell whether all is there that its create wrote."""
    path = thread_path(org, thread_id)
    try:
        cut_unfinished_line(disk, path)
        with disk.opened(path) as descriptor:
            size = disk.size(descriptor)
            try:
                header, length = read_header(disk, path, descriptor)
            except DamagedRecord as error:
                # A first line that has its end is damaged: the copying did not stop in it.
                log.error("%s", error)
                return size > 0
            return size >= length + header.create_bytes
    except FileNotFoundError:
        return False


def _remove_derived(disk: Disk, folder: str) -> None:
    for name in disk.names(folder):
        if name.endswith((".idx", ".new")):
            disk.unlink(f"{folder}/{name}")
