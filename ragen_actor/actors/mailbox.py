"""Commands on their way to an actor, each with the place for its answer."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from msgspec import Struct

from ragen_actor.actors.commands import Command
from ragen_actor.errors import RagenError, Unavailable


class Reply(Protocol):
    """Where an answer goes; a future is one. Its methods raise nothing."""

    def done(self) -> bool:
        """Tell whether it has an answer, or whoever asked has left."""

    def set_result(self, body: bytes, /) -> None:
        """Take the response's body."""

    def set_exception(self, error: RagenError, /) -> None:
        """Take what went wrong."""


class Envelope(Struct, gc=False):
    """One command and its reply.

    The asker may have left: the reply is done then, and the answer goes nowhere. What was
    committed stays committed.

    Attributes:
        command: What is asked.
        reply: Where the answer goes.
        changes: The key of the object that no other command may change until this one has ended.
    """

    command: Command
    reply: Reply
    changes: int | None = None

    def fail(self, error: RagenError) -> None:
        """Hand over what went wrong."""
        if not self.reply.done():
            self.reply.set_exception(error)


class Mailbox:
    """The commands that an actor has accepted and not answered, bounded.

    Attributes:
        waiting: Those that it has not begun, oldest first.
        begun: How many it has begun.
    """

    __slots__ = ("_commands_max", "begun", "waiting")

    def __init__(self, commands_max: int) -> None:
        self.waiting: deque[Envelope] = deque()
        self.begun = 0
        self._commands_max = commands_max

    def look_for_room(self) -> None:
        """See that one more command can be accepted.

        Raises:
            Unavailable: There is no more room.
        """
        if len(self.waiting) + self.begun >= self._commands_max:
            raise Unavailable("Too many requests for this thread are waiting. Please try again.")

    @property
    def is_empty(self) -> bool:
        """Tell whether every command was answered."""
        return not self.waiting and not self.begun
