"""The data directory: its lock, its format, what lies where in it, and what opens with it."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from storage.descriptors import Descriptors
from storage.durable import DIRECTORY_MODE, FILE_MODE, Disk
from storage.errors import DataDirInUse, DataDirUnusable
from storage.journal import Journal
from storage.options import Options

FORMAT = 1
META = "meta.json"
LOCK = "lock"
ORGS = "orgs"
ORG_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
THREAD_FILE = re.compile(r"thread-[0-9a-f]{32}\.jsonl")


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A data directory while it is open: what all who work on it share.

    Attributes:
        disk: Where it lies.
        journal: In front of its files.
        descriptors: Those of its files that are open.
        options: What the operator has set.
        clock: Seconds, never going back.
        time_of_day: Unix seconds.
    """

    disk: Disk
    journal: Journal
    descriptors: Descriptors
    options: Options
    clock: Callable[[], float]
    time_of_day: Callable[[], float]


class Meta(msgspec.Struct, frozen=True):
    """What `meta.json` says.

    Attributes:
        format: The version of everything in the directory.
        created_at: Unix seconds.
        lock_inode: Of the file `lock`; another one tells that this directory is a copy.
        file_system: The id of the one that it lies on, which tells the same where inode numbers
            happen to agree; 0 when it has none.
    """

    format: int
    created_at: int
    lock_inode: int
    file_system: int = 0

    @classmethod
    def of(cls, lock_file: int, created_at: int) -> Meta:
        """Return what a directory with this lock, an open file, says of itself."""
        return cls(FORMAT, created_at, *_whereabouts(lock_file))

    def is_copied(self, lock_file: int | Path) -> bool:
        """Tell whether a directory with this lock is a copy of the one that said this."""
        inode, file_system = _whereabouts(lock_file)
        return self.lock_inode != inode or self.file_system not in (0, file_system)


def _whereabouts(lock_file: int | Path) -> tuple[int, int]:
    return os.stat(lock_file).st_ino, os.statvfs(lock_file).f_fsid


def org_path(org: str) -> str:
    """Return the folder of an organisation."""
    assert ORG_NAME.fullmatch(org)
    return f"{ORGS}/{org}"


def catalog_path(org: str) -> str:
    """Return the log of an organisation's threads."""
    return f"{org_path(org)}/catalog.jsonl"


def thread_path(org: str, thread_id: str) -> str:
    """Return the log of a thread's messages; 256 folders share them by the id's last two digits."""
    return f"{org_path(org)}/threads/{thread_id[-2:]}/{thread_id}.jsonl"


def lock(root: Path) -> int:
    """Take the directory, making it if need be; return the lock's descriptor, to be kept open.

    Raises:
        DataDirInUse: Another process has it.
        OSError: It cannot be made or opened.
    """
    missing = [each for each in (root, *root.parents) if not each.exists()]
    root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    for each in missing:
        Disk(each.parent).sync_directory(".")
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DataDirInUse(
            "another server runs on this data directory",
            path=str(root),
            hint="stop it first, or give this one another --data-dir",
        ) from None
    return descriptor


def prepare(disk: Disk, lock_descriptor: int, journal_segment_bytes: int) -> bool:
    """Make a new directory whole, or see whether this one can be used.

    Returns:
        Whether the directory is a copy that has not been started before.

    Raises:
        DataDirUnusable: It is of a newer format, or its `meta.json` is unreadable.
    """
    meta = read_meta(disk)
    if meta is None:
        # An empty folder is what a first start leaves that died before it wrote its meta file.
        if disk.names(ORGS):
            raise DataDirUnusable(
                f"there is data but no {META}",
                path=str(disk.root),
                hint=f"put {META} back from where the data came from",
            )
        Journal.create(disk, journal_segment_bytes)
        disk.make_directory(ORGS)
        # Their names first: whoever finds the meta file after a power cut must find them too.
        disk.sync_directory(".")
        write_meta(disk, Meta.of(lock_descriptor, int(time.time())))
        return False
    # A start that was killed between the rename and the sync left its name in memory only.
    disk.sync_directory(".")
    return meta.is_copied(lock_descriptor)


def read_meta(disk: Disk) -> Meta | None:
    """Read `meta.json`; None where there is none.

    Raises:
        DataDirUnusable: It is unreadable, or of another format than `FORMAT`.
    """
    try:
        meta = msgspec.json.decode(disk.read_file(META), type=Meta)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataDirUnusable(
            f"unreadable: {error}", path=META, hint="restore it from a backup"
        ) from error
    if meta.format != FORMAT:
        raise DataDirUnusable(
            f"format {meta.format} is not the {FORMAT} that this version knows",
            path=META,
            hint="install the version that wrote it, or a newer one",
        )
    return meta


def write_meta(disk: Disk, meta: Meta) -> None:
    """Replace `meta.json`, durably."""
    disk.write_aside(META, msgspec.json.encode(meta) + b"\n")


def mark_original(disk: Disk, lock_descriptor: int) -> None:
    """Say that this directory is no copy any more."""
    meta = read_meta(disk)
    assert meta is not None
    write_meta(disk, Meta.of(lock_descriptor, meta.created_at))
