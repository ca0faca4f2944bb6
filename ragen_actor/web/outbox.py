"""The answers that are ready in one turn of the event loop are written one behind the other.

Writing wakes whoever waits at the other end, and on many machines that takes longer than the write.
A program that asks on many connections is woken by the first answer and is awake for the others, if
they come at once and not one by one as each is rendered.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Sized
from typing import Protocol

_FEW = 4
"""Up to so many connections have too few answers a turn to make up for one more turn."""


class Line(Protocol):
    """A connection that has an answer."""

    def write(self) -> None:
        """Write it, unless the client is gone."""


class Outbox:
    """Who has an answer to write: each connection once, for it is asked no more until then.

    Args:
        loop: The event loop.
        connections: All that are served.
    """

    def __init__(self, loop: AbstractEventLoop, connections: Sized) -> None:
        self._loop = loop
        self._connections = connections
        self._lines: deque[Line] = deque()

    def put(self, line: Line) -> None:
        """Have a connection write its answer at the end of this turn; at once if there are few."""
        if len(self._connections) <= _FEW:
            line.write()
            return
        if not self._lines:
            self._loop.call_soon(self._empty)
        self._lines.append(line)

    def _empty(self) -> None:
        lines = self._lines
        try:
            while lines:
                lines.popleft().write()
        finally:
            if lines:  # One of them failed, which the loop tells; the others go on.
                self._loop.call_soon(self._empty)
