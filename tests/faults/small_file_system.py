"""File systems of a few megabytes, which fill up when a test wants them to."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEBIBYTE = 1024 * 1024


@contextmanager
def tmpfs(place: Path, *, size: int, inodes: int = 10_000) -> Iterator[Path]:
    """Mount memory, of so many bytes and so many names."""
    place.mkdir()
    options = f"size={size},nr_inodes={inodes},mode=0700"
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


@contextmanager
def ext4(place: Path, *, size: int, inodes: int = 10_000) -> Iterator[Path]:
    """Mount an image of a real disk's file system."""
    place.mkdir()
    image = place.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), str(image))
    _run("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


class Ballast:
    """What somebody else keeps on the same file system."""

    def __init__(self, place: Path) -> None:
        self._bytes = place / "ballast"
        self._names = place / "names"

    def leave(self, size: int) -> None:
        """Take all bytes but so many."""
        with self._bytes.open("wb") as file, suppress(_Full):
            while (free := free_bytes(self._bytes.parent)) > size:
                _write(file.fileno(), min(MEBIBYTE, free - size))

    def take_names(self) -> None:
        """Take every name that is left, and no bytes."""
        self._names.mkdir()
        try:
            for number in range(1_000_000):
                (self._names / str(number)).touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC, error

    def drop(self) -> None:
        """Give everything back."""
        self._bytes.unlink(missing_ok=True)
        if self._names.exists():
            for name in self._names.iterdir():
                name.unlink()
            self._names.rmdir()


class _Full(Exception):
    """The file system takes no more."""


def _write(descriptor: int, size: int) -> None:
    """Write as much as there is room for, down to one block."""
    while size > 0:
        try:
            os.write(descriptor, bytes(size))
            os.fsync(descriptor)
            return
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size //= 2
    raise _Full


def free_bytes(place: Path) -> int:
    """Return what may still be written to a file system."""
    stat = os.statvfs(place)
    return stat.f_bavail * stat.f_frsize


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}: {ran.stderr} (these tests need root)"
