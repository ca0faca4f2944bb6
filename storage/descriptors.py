"""Open files: as many as the process may have, the least used closed first.

A descriptor that saw a write stays open until a sync of it has succeeded: only that sync is sure to
report what the kernel could not write.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import islice

from storage.durable import Disk


class Descriptor:
    """One open file.

    Attributes:
        number: The operating system's.
        pins: Users that need it open; it is closed only at 0.
    """

    __slots__ = ("number", "pins")

    def __init__(self, number: int) -> None:
        self.number = number
        self.pins = 0


class Descriptors:
    """Open files by path, relative to the data directory.

    Any thread may acquire and release. Closing happens in `trim` alone, which the event loop calls:
    so what `peek` returns there stays open until the loop's next step.
    """

    def __init__(self, disk: Disk, files_max: int) -> None:
        self._disk = disk
        self._files_max = files_max
        self._open: OrderedDict[str, Descriptor] = OrderedDict()
        self._stale: list[Descriptor] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count what is open."""
        return len(self._open) + len(self._stale)

    def peek(self, path: str) -> Descriptor | None:
        """Return the descriptor if the file is open, without waiting; for the event loop."""
        return self._open.get(path)

    def acquire(self, path: str, *, create: bool = False) -> Descriptor:
        """Open the file if need be and keep it open until `release`.

        Raises:
            OSError: It cannot be opened.
        """
        with self._lock:
            descriptor = self._open.get(path)
            if descriptor is None:
                descriptor = Descriptor(self._disk.open(path, create=create))
                self._open[path] = descriptor
            else:
                self._open.move_to_end(path)
            descriptor.pins += 1
            return descriptor

    def release(self, descriptor: Descriptor) -> None:
        """Give back what `acquire` returned."""
        with self._lock:
            descriptor.pins -= 1

    def distrust(self, path: str) -> None:
        """Let the next user open the file anew: a write or a sync through this one failed."""
        with self._lock:
            descriptor = self._open.pop(path, None)
            if descriptor is not None:
                self._stale.append(descriptor)

    def trim(self) -> None:
        """Close what nobody needs, down to the bound; called by the event loop alone."""
        if len(self) <= self._files_max and not self._stale:
            return
        with self._lock:
            closing = [descriptor for descriptor in self._stale if not descriptor.pins]
            self._stale = [descriptor for descriptor in self._stale if descriptor.pins]
            surplus = len(self) - self._files_max
            for path in list(islice(self._open, 2 * max(surplus, 0))):
                if surplus <= 0:
                    break
                if self._open[path].pins:
                    self._open.move_to_end(path)
                else:
                    closing.append(self._open.pop(path))
                    surplus -= 1
        for descriptor in closing:
            self._disk.close(descriptor.number)

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            closing = [*self._open.values(), *self._stale]
            self._open.clear()
            self._stale.clear()
        for descriptor in closing:
            self._disk.close(descriptor.number)
