"""Repair of a data directory that no server uses: all that is readable is kept and served again.

First the journal is done again, as at every start. Then each organisation's catalogue and threads
are read; what is sound stays as it is, byte for byte. What is not readable is laid beside its file,
under a name with `.damaged`, and the rest is rewritten as compaction would. Nothing is deleted but
what can be derived again. A second repair finds nothing to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import msgspec

from storage.adoption import adopt
from storage.datadir import (
    FORMAT,
    META,
    ORG_NAME,
    ORGS,
    THREAD_FILE,
    Meta,
    catalog_path,
    lock,
    mark_original,
    org_path,
    prepare,
    read_meta,
    thread_path,
    write_meta,
)
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord, DataDirUnusable
from storage.journal import Journal
from storage.kinds import CatalogLog, ThreadLog
from storage.loading import own_sidecar
from storage.record import DATA_AT
from storage.record_log import RecordLog
from storage.recovery import recover
from storage.salvage import Deed, keep_aside, move_aside, salvage
from storage.segment_file import SEGMENTS, segment_header, segment_path
from storage.survey import Place, Survey, survey

NewEntry = Callable[[str, str], bytes]
"""Makes the object of a thread that no catalogue knows, from its organisation and id."""

_LOST = "lines that only it held are lost"


def repair(
    data_dir: Path, *, journal_segment_bytes: int, new_entry: NewEntry, now: float
) -> Iterator[Deed]:
    """Make a directory sound; what is yielded was done.

    Args:
        data_dir: An existing data directory.
        journal_segment_bytes: Of a segment that has to be made.
        new_entry: Makes what a catalogue says of a thread whose entry is lost.
        now: Unix seconds.

    Raises:
        DataDirInUse: A server, or another command, has it.
        DataDirUnusable: This is no data directory, or of another format.
        OSError: The disk fails; what was done so far stays done.
    """
    disk = Disk(data_dir)
    if not disk.exists(META) and not disk.names(ORGS):
        raise DataDirUnusable(
            f"there is no {META}", path=str(data_dir), hint="name a data directory with --data-dir"
        )
    descriptor = lock(data_dir)
    descriptors = Descriptors(disk, 8)
    try:
        disk.probe()
        yield from _meta(disk, descriptor, int(now))
        yield from _journal(disk, journal_segment_bytes)
        is_copy = prepare(disk, descriptor, journal_segment_bytes)
        outcome = recover(disk, is_copy=is_copy)
        for fault in outcome.faults:
            yield Deed("journal", 0, f"{fault}; the segments are kept as *.damaged")
        work = _Repair(disk, descriptors, new_entry)
        orgs = [each for each in disk.names(ORGS) if ORG_NAME.fullmatch(each)]
        if is_copy:
            for org in orgs:
                if not disk.exists(catalog_path(org)):  # Adoption could tell nothing of it.
                    yield from work.organisation(org)
            journal = Journal(disk, journal_segment_bytes, time.monotonic)
            journal.resume(outcome.use, outcome.number)
            adopt(disk, descriptors, journal, int(now))
            mark_original(disk, descriptor)
            yield Deed(META, 0, "this copy is a data directory of its own now")
        for org in orgs:
            yield from work.organisation(org)
        if Journal.segment_bytes(disk) != {journal_segment_bytes}:
            Journal.create(disk, journal_segment_bytes)
    finally:
        descriptors.close()
        disk.release()
        os.close(descriptor)


def _meta(disk: Disk, lock_descriptor: int, now: int) -> Iterator[Deed]:
    try:
        if read_meta(disk) is not None:
            return
        reason = "the file was gone"
    except DataDirUnusable as error:
        if not isinstance(error.__cause__, msgspec.DecodeError):
            raise
        reason = f"unreadable: kept as {move_aside(disk, META)}"
    write_meta(disk, Meta.of(lock_descriptor, now))
    yield Deed(META, 0, f"{reason}; made anew for format {FORMAT}")


def _journal(disk: Disk, segment_bytes: int) -> Iterator[Deed]:
    """Let a start find four segments, each with a header that it can read, or none at all."""
    for directory in disk.make_directory("journal"):
        disk.sync_directory(directory)
    for number in range(SEGMENTS):
        path = segment_path(number)
        if not disk.exists(path):
            disk.write_aside(path, bytes(segment_bytes))
            yield Deed(path, 0, f"the segment was gone: made anew, {_LOST}")
            continue
        try:
            segment_header(disk, number)
        except DamagedRecord:
            data = disk.read_file(path)
            kept = keep_aside(disk, path, 0, data)
            disk.write_aside(path, bytes(len(data)))
            yield Deed(path, 0, f"the header is unreadable: kept as {kept}, {_LOST}")


class _Repair:
    def __init__(self, disk: Disk, descriptors: Descriptors, new_entry: NewEntry) -> None:
        self._disk = disk
        self._descriptors = descriptors
        self._new_entry = new_entry

    def organisation(self, org: str) -> Iterator[Deed]:
        """Repair one organisation's catalogue, then each thread that it lists."""
        disk = self._disk
        files: set[str] = set()
        yield from self._tidy(org_path(org))
        for folder in disk.names(f"{org_path(org)}/threads"):
            place = f"{org_path(org)}/threads/{folder}"
            yield from self._tidy(place)
            names = disk.names(place)
            its = {each.removesuffix(".jsonl") for each in names if THREAD_FILE.fullmatch(each)}
            files |= {each for each in its if each.endswith(folder)}
        catalog = CatalogLog(catalog_path(org), disk, self._descriptors)
        if not disk.exists(catalog.path) and not files:
            return
        listed = yield from self._catalog(catalog, org, files)
        for thread_id in sorted(listed):
            yield from self._thread(org, thread_id)

    def _catalog(
        self, catalog: CatalogLog, org: str, files: set[str]
    ) -> Generator[Deed, None, set[str]]:
        """Repair a catalogue; return the ids of the threads that it lists then."""
        disk, path = self._disk, catalog.path
        found = Survey()
        if disk.exists(path):
            found = survey(catalog, disk, org)
            if found.foreign:
                yield Deed(path, 0, f"another organisation's: kept as {move_aside(disk, path)}")
                found = Survey()
            elif found.header is None:
                yield Deed(path, 0, "the header is unreadable: made anew from the folder's name")
        else:
            yield Deed(path, 0, "gone: made anew; a thread deleted lately may be listed again")
        ids = self._ids(path, found.live)
        doubtful = self._ids(path, found.doubtful)
        added: dict[int, bytes] = {}
        for thread_id in sorted(files - set(ids.values())):
            key = int(thread_id[7:23], 16)
            found.last_key = max(found.last_key, key)
            if key in found.tombstones:
                continue
            place = thread_path(org, thread_id)
            reason = self._not_listable(org, thread_id)
            if key in doubtful:
                reason = "a damaged line of the catalogue may be its deletion"
            elif key in ids or key in added:
                reason = "the catalogue has another thread in its place"
            if reason:
                yield Deed(place, 0, f"{reason}: kept as {move_aside(disk, place)}")
                continue
            added[key] = self._new_entry(org, thread_id)
            yield Deed(place, 0, f"no catalogue listed it: now as {added[key].decode()}")
        if added or not found.is_sound:
            yield from salvage(disk, catalog, org, org, found, added)
        else:
            yield from self._derived(catalog, found)
        return {*ids.values(), *(data[7:46].decode() for data in added.values())}

    def _ids(self, path: str, places: dict[int, Place]) -> dict[int, str]:
        """Read the ids of threads whose lines stand at these places."""
        if not places:
            return {}
        with self._disk.opened(path) as source:
            return {
                key: self._disk.read(source, 39, offset + DATA_AT + 7).decode()
                for key, (offset, _) in places.items()
            }

    def _not_listable(self, org: str, thread_id: str) -> str:
        """Say why a file of which no catalogue knows is no thread's; empty if it is one."""
        found = survey(self._log(org, thread_id), self._disk, thread_id)
        if found.foreign and found.header:
            return f"no catalogue listed it, and it is the file of {found.header.id}"
        if found.header is None and not found.live:
            return "no catalogue listed it, and nothing of it is readable"
        return ""

    def _thread(self, org: str, thread_id: str) -> Iterator[Deed]:
        disk, log = self._disk, self._log(org, thread_id)
        found = Survey()
        if not disk.exists(log.path):
            folder = log.path.rpartition("/")[0]
            for directory in disk.make_directory(folder):
                disk.sync_directory(directory)
            text = "THE FILE IS GONE: the thread is served without its messages"
            yield Deed(log.path, 0, f"{text}; restore it from a backup if there is one")
        else:
            found = survey(log, disk, thread_id)
            if found.foreign and found.header:
                text = f"this is the file of {found.header.id}: kept as"
                yield Deed(log.path, 0, f"{text} {move_aside(disk, log.path)}")
                found = Survey()
            elif found.is_sound:
                yield from self._derived(log, found)
                return
            elif found.header is None:
                yield Deed(log.path, 0, "the header is unreadable: made anew from the file's name")
        yield from salvage(disk, log, thread_id, org, found, {})

    def _log(self, org: str, thread_id: str) -> ThreadLog:
        return ThreadLog(thread_path(org, thread_id), self._disk, self._descriptors)

    def _tidy(self, folder: str) -> Iterator[Deed]:
        """Remove derived files of which nothing can be derived, and drafts nobody finished."""
        names = set(self._disk.names(folder))
        for name in sorted(names):
            left = name.endswith(".idx") and f"{name.removesuffix('.idx')}.jsonl" not in names
            if left or name.endswith(".new"):
                self._disk.unlink(f"{folder}/{name}")
                yield Deed(f"{folder}/{name}", 0, "a left-over of no use: removed")

    def _derived(self, log: RecordLog, found: Survey) -> Iterator[Deed]:
        """Remove the sidecar of a sound log if it does not fit; it is made anew when needed."""
        assert found.header is not None
        disk = self._disk
        if disk.exists(log.sidecar_path):
            with disk.opened(log.path) as descriptor:
                sidecar = own_sidecar(log, disk, descriptor, found.header.generation)
            if sidecar is None:
                disk.unlink(log.sidecar_path)
                yield Deed(log.sidecar_path, 0, "it does not fit its log: removed")
