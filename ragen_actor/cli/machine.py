"""What a server wants of its machine: open files, room on the disk, a file system it can trust."""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from ragen_actor.config import Config
from ragen_actor.settings import MIB

NETWORK_FILE_SYSTEMS = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "smb3", "smbfs",
})  # fmt: skip
"""File systems, as Linux names them, on which an `fsync` or a lock may not mean what it says."""

MOUNTS = Path("/proc/self/mountinfo")

_LOW_DISK_FACTOR = 4
_OCTAL = re.compile(r"\\([0-7]{3})")


def raise_open_files_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Where the hard limit is said to be infinite (macOS), the kernel has one all the same.
    for wanted in (hard,) if hard != resource.RLIM_INFINITY else (1 << 20, 10240):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return wanted
    return soft


def warnings(config: Config) -> Iterator[str]:
    """Yield what an operator should know before relying on where the data directory lies."""
    folder = nearest_folder(config.storage.data_dir)
    free, reserve = shutil.disk_usage(folder).free, config.storage.disk_reserve_bytes
    if free < _LOW_DISK_FACTOR * reserve:
        yield (
            f"only {free // MIB} MiB are free for {config.storage.data_dir}: below "
            f"{reserve // MIB} MiB (storage.disk_reserve_bytes) every write is refused"
        )
    kind = network_file_system(folder)
    if kind is not None:
        yield (
            f"{config.storage.data_dir} lies on a network file system ({kind}), on which nothing "
            "is promised to last: choose a --data-dir on a local disk"
        )


def nearest_folder(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Name the network file system that a folder lies on; None for a local or an unknown one.

    Source: Linux, Documentation/filesystems/proc.rst, "mountinfo".
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = -1, ""
    folder = folder.resolve()
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if len(fields.split(" ")) < 5 or not rest:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields.split(" ")[4]))
        # Of two mounts on one point the later one is seen.
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split(" ")[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else None
