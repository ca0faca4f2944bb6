"""Where the control socket lies, and how it is named: a socket's path holds 107 bytes at most."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = "control.sock"
PATH_BYTES_MAX = 103
"""What every system takes: Linux 107 bytes, macOS and BSD 103."""

_DESCRIPTORS = Path("/proc/self/fd")


@contextmanager
def control_path(data_dir: Path) -> Iterator[str]:
    """Name the socket of a data directory, for as long as the block lasts, by a path short enough.

    A long one is shortened through the descriptor of its directory.

    Raises:
        OSError: There is no such directory, or its path is too long for this system.
    """
    path = data_dir / SOCKET
    relative = os.path.relpath(path)
    for each in (str(path), relative):
        if len(os.fsencode(each)) <= PATH_BYTES_MAX:
            yield each
            return
    if not _DESCRIPTORS.is_dir():
        raise OSError(f"{path}: the path is too long for a socket; choose a shorter data directory")
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
