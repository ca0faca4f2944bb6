"""The first start of a copied data directory.

A copy made while the server ran holds every write that was acknowledged before the copy began, and
of later ones whatever the copying happened to meet: a thread in the catalogue whose file was passed
before it was made, a file whose catalogue had been passed already, the first half of a line. Here
the rests are tidied, once, so that afterwards any such finding is damage again.
"""

from __future__ import annotations

import logging

import msgspec

from storage.datadir import ORG_NAME, ORGS, THREAD_FILE, catalog_path, org_path, thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.loading import load
from storage.reaper import Tombstone
from storage.record_log import CatalogLog
from storage.recovery import cut_unfinished_line
from storage.scan import lines, read_header

log = logging.getLogger(__name__)


def adopt(disk: Disk, descriptors: Descriptors, now: int) -> None:
    """Make a copy whole in itself; blocks. Doing it twice, or dying half-way, comes to the same.

    Args:
        disk: The copy.
        descriptors: Of its files.
        now: When what is taken out of it was deleted, Unix seconds.

    Raises:
        OSError: The disk fails.
    """
    for org in disk.names(ORGS):
        if ORG_NAME.fullmatch(org):
            _remove_derived(disk, org_path(org))
            _adopt_org(disk, descriptors, org, now)


def _adopt_org(disk: Disk, descriptors: Descriptors, org: str, now: int) -> None:
    catalog = CatalogLog(catalog_path(org), disk, descriptors)
    known, is_sound = _known(disk, catalog, org)
    _bury(disk, catalog, [each for each in known if not _is_whole(disk, org, each)], now)
    kept = 0
    for folder in disk.names(f"{org_path(org)}/threads"):
        place = f"{org_path(org)}/threads/{folder}"
        _remove_derived(disk, place)
        for name in disk.names(place):
            if not THREAD_FILE.fullmatch(name) or name.removesuffix(".jsonl") in known:
                continue
            if is_sound:
                log.warning("%s/%s has no entry in its catalogue and is removed", place, name)
                disk.unlink(f"{place}/{name}")
            else:
                kept += 1
        disk.sync_directory(place)
    if kept:
        log.error("%s is missing, empty or damaged: %d files are kept", catalog.path, kept)


def _known(disk: Disk, catalog: CatalogLog, org: str) -> tuple[set[str], bool]:
    """Return the threads that a catalogue lists, and whether there are sure to be no others.

    A line that cannot be read may be about any file, and so may one that was never copied.
    """
    try:
        cut_unfinished_line(disk, catalog.path)
        with disk.opened(catalog.path) as descriptor:
            found = lines(disk, descriptor, 0, disk.size(descriptor))
            is_sound = not any(line.fault for line in found)
        load(catalog, disk, owner=org)
        return set(catalog.thread_ids()), is_sound and catalog.index.records > 0
    except FileNotFoundError:
        return set(), False
    except DamagedRecord as error:
        log.error("%s", error)
        return set(), False


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


def _bury(disk: Disk, catalog: CatalogLog, thread_ids: list[str], now: int) -> None:
    if not thread_ids:
        return
    log.warning(
        "%s: %d threads were not whole when they were copied and are taken out of it",
        catalog.path,
        len(thread_ids),
    )
    for thread_id in thread_ids:
        log.warning("%s: %s is taken out", catalog.path, thread_id)
    appends = [
        catalog.remove(catalog.next_number, msgspec.json.encode(Tombstone(thread_id, now)))
        for thread_id in thread_ids
    ]
    with disk.opened(catalog.path) as descriptor:
        disk.write(descriptor, b"".join(append.line for append in appends), catalog.end)
        disk.sync(descriptor)


def _remove_derived(disk: Disk, folder: str) -> None:
    for name in disk.names(folder):
        if name.endswith((".idx", ".new")):
            disk.unlink(f"{folder}/{name}")
