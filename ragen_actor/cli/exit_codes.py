"""How a command can end, for scripts and service managers."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    IN_USE = 3
    CANNOT_LISTEN = 4
    NO_ANSWER = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it tells an operator."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.FINE: "done; check: nothing is damaged; serve: stopped by SIGTERM or SIGINT",
    Exit.FAILED: "failed for the reason given; check: something is damaged, or still is",
    Exit.USAGE: "a word, a setting or the name of a key is wrong; nothing was changed",
    Exit.IN_USE: "another server runs on this data directory",
    Exit.CANNOT_LISTEN: "the address or the port cannot be listened on",
    Exit.NO_ANSWER: "the server on this data directory does not answer on control.sock",
    Exit.INTERRUPTED: "interrupted from the keyboard",
}
