"""What the disk does by itself: one durable write, and a copy made beside the server."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.durable import Disk

COPY_TO = Path("/dev/shm")
"""Another file system than that of the data, and no disk, so that only reading disturbs."""

_BATCH_BYTES = 1024
_FILE_BYTES = 1 << 20


class JournalFile:
    """A file written full of zeros and then in place, as the journal is.

    What one durable write of a small batch takes is the floor of an append's latency when nobody
    else writes.
    """

    def __init__(self, folder: Path) -> None:
        self._disk = Disk(folder)
        self._disk.probe()
        self._descriptor = self._disk.open("journal-floor", create=True)
        self._disk.write(self._descriptor, bytes(_FILE_BYTES), 0)
        self._disk.sync(self._descriptor)

    def sync_ms(self, count: int = 200) -> float:
        """Return the median of some durable writes, one after the other, in milliseconds."""
        batch, taken = b"x" * _BATCH_BYTES, []
        for number in range(count):
            started = time.perf_counter()
            place = number * _BATCH_BYTES % _FILE_BYTES
            self._disk.write_durable(self._descriptor, batch, place)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken) * 1000

    def close(self) -> None:
        self._disk.close(self._descriptor)
        self._disk.release()


@contextmanager
def copied(data_dir: Path) -> Iterator[list[float]]:
    """Copy a directory with `cp -a`, again and again, until the block ends.

    Yields:
        The seconds that each copy took, to be read behind the block.

    Raises:
        RuntimeError: A copy failed otherwise than by files that were replaced under it.
    """
    target = COPY_TO / f"ragen-actor-bench-{time.time_ns()}"
    enough = threading.Event()
    seconds: list[float] = []
    failures: list[str] = []

    def copy() -> None:
        while not enough.is_set():
            started = time.monotonic()
            command = ["cp", "-aT", str(data_dir), str(target)]
            ran = subprocess.run(command, check=False, capture_output=True, text=True)
            seconds.append(time.monotonic() - started)
            said = ran.stderr.splitlines()
            if ran.returncode and not all("No such file" in line for line in said):
                failures.append(ran.stderr)
                return
            shutil.rmtree(target)

    copier = threading.Thread(target=copy)
    copier.start()
    try:
        yield seconds
    finally:
        enough.set()
        copier.join()
        shutil.rmtree(target, ignore_errors=True)
    if failures:
        raise RuntimeError(f"cp -a failed: {failures[0]}")
