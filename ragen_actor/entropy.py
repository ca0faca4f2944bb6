"""Random bits of the operating system, fetched many at a time."""

from __future__ import annotations

import os

_POOL_BYTES = 4096


class Entropy:
    """Hands out random bits; each bit once. It belongs to one thread of one process."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def bits(self, count: int) -> int:
        """Return so many random bits, a multiple of 8 and at most 256, as a number."""
        start, end = self._used, self._used + count // 8
        if end > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            start, end = 0, count // 8
        self._used = end
        return int.from_bytes(self._pool[start:end])
