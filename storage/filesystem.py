"""What the kernel and the file system under a data directory can do; found out once."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

syncfs: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
"""The system call that makes a whole file system durable; None where there is none."""

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})
_SYNCFS_REPORTS_SINCE = (5, 8)
_SYNCFS_TRUSTED = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"})


def writes_through(root: Path) -> bool:
    """Tell whether one call can write and make durable (RWF_DSYNC)."""
    with tempfile.TemporaryFile(dir=root) as file:
        return _accepts(lambda: os.pwritev(file.fileno(), [b"probe"], 0, os.RWF_DSYNC))


def reads_ahead(root: Path) -> bool:
    """Tell whether a read can say "not in memory" instead of waiting (RWF_NOWAIT)."""
    with tempfile.TemporaryFile(dir=root) as file:
        os.pwrite(file.fileno(), b"probe", 0)
        return _accepts(lambda: os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT))


def syncs_whole(root: Path) -> bool:
    """Tell whether one call makes all files durable and can be trusted to report a failure.

    Linux reports a failed write-back through syncfs since 5.8, and only where the file system
    implements it: FUSE and network file systems need not pass it on.

    Source: syncfs(2), "Errors" and "Notes".
    """
    if syncfs is None or platform.system() != "Linux":
        return False
    version = platform.release().split(".")
    try:
        recent = (int(version[0]), int(version[1])) >= _SYNCFS_REPORTS_SINCE
    except (ValueError, IndexError):
        return False
    return recent and kind(root) in _SYNCFS_TRUSTED


def kind(root: Path) -> str:
    """Return the name of the file system that a directory lies on, as `ext4`; empty if unknown.

    Source: proc(5), /proc/pid/mountinfo.
    """
    device = os.stat(root).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return ""
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return behind.split()[0]
    return ""


def _accepts(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        return error.errno == errno.EAGAIN
    except AttributeError:
        return False
    return True
