"""Commands on their way to an actor, each with the place for its answer."""

from __future__ import annotations

from collections import deque
from typing import Protocol

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


class Envelope:
    """One command and its reply.

    The asker may have left: the reply is done then, and the answer goes nowhere. What was
    committed stays committed.

    Attributes:
        command: What is asked.
        reply: Where the answer goes.
        changes: The key of the object that no other command may change until this one has ended.
    """

    __slots__ = ("changes", "command", "reply")

    def __init__(self, command: Command, reply: Reply) -> None:
        self.command = command
        self.reply = reply
        self.changes: int | None = None

    def answer(self, body: bytes) -> None:
        """Hand over the response's body."""
        if not self.reply.done():
            self.reply.set_result(body)

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

    def put(self, envelope: Envelope) -> None:
        """Accept a command.

        Raises:
            Unavailable: There is no more room; nothing was done.
        """
        if len(self.waiting) + self.begun >= self._commands_max:
            raise Unavailable("Too many requests for this thread are waiting. Please try again.")
        self.waiting.append(envelope)

    @property
    def is_empty(self) -> bool:
        """Tell whether every command was answered."""
        return not self.waiting and not self.begun
