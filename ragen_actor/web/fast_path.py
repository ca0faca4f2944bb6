"""The fast path: an ordinary request for threads is answered without the framework.

For each request the framework makes a stream for the body, a request, a writer, a response and a
task, which together cost more than what is done for the request. An ordinary one needs none of
them: its head comes in one piece, and its body is short. It is parsed here, asked, and its answer
is written when it is there.

Whatever is not ordinary goes to the framework, with every byte from its beginning on. So each
request has one parser, and what a request means is for the gate to say on both ways.
"""

from __future__ import annotations

from typing import Protocol

from ragen_actor.errors import RagenError
from ragen_actor.web.credentials import identify
from ragen_actor.web.exchange import Exchange
from ragen_actor.web.gate import BODY_METHODS, Gate
from ragen_actor.web.head import Block, Head


class Line(Protocol):
    """A connection, as the fast path needs it."""

    peer: str | None

    def send(self, rendered: bytes, *, keeps_open: bool) -> None:
        """Have an answer written; the connection then goes on, or ends."""


class FastPath:
    """The fast path of one connection.

    Args:
        gate: The door.
        line: The connection.

    Attributes:
        busy: A request is being answered: nothing may be fed meanwhile.
        held: A request whose body is incomplete, as far as it came; empty when there is none.
        due: Bytes of the request that `feed` or `give_up` returned last; -1 where that is unknown.
    """

    __slots__ = ("_exchange", "_gate", "_head", "_line", "_room", "busy", "due", "held")

    def __init__(self, gate: Gate, line: Line) -> None:
        self._gate = gate
        self._line = line
        self._head: Head
        self._exchange: Exchange
        self._room = 0
        self.busy = False
        self.held = b""
        self.due = -1

    def feed(self, data: bytes) -> bytes:
        """Take bytes that begin a request, or go on with the one that is held.

        The answer may be sent before this returns.

        Returns:
            What the framework must have instead: the request from its first byte on, and whatever
            follows it. Nothing, if the request stays here.
        """
        if self.held:
            data, self.held = self.held + data, b""
        else:
            head = self._gate.heads.parse(data)
            if head is None:
                self.due = -1
                return data
            self.due = head.size + head.block.body_bytes
            if not head.is_ordinary or (len(data) != self.due and not self._has_key(head.block)):
                return data
            self._head = head
        if len(data) > self.due:
            return data
        if len(data) < self.due:
            self.held = data
        else:
            self._begin(self._head, data)
        return b""

    def give_up(self) -> bytes:
        """Return what is held, for the framework."""
        held, self.held = self.held, b""
        return held

    def _has_key(self, block: Block) -> bool:
        """Tell whether a request's key is known, before any of its body is kept."""
        try:
            identify(self._gate.keyring, block.fields)
        except RagenError:
            return False
        return True

    def _begin(self, head: Head, data: bytes) -> None:
        """Pass the door with a whole request."""
        gate, block = self._gate, head.block
        self._exchange = begun = Exchange.begin(
            head.method,
            head.target,
            block.fields,
            self._line.peer,
            gate.clock(),
            keeps_open=block.keeps_open,
        )
        self.busy = True
        body = b""
        if block.body_bytes and head.method in BODY_METHODS:
            body = data[head.size :]
        try:
            gate.admit(begun)
            if not head.is_known:
                gate.heads.remember(data, head)
            if body:
                gate.bodies.hold(len(body))
                self._room = len(body)
            gate.ask(begun, body, self)
        except Exception as error:
            if not self.busy:
                raise  # It has its answer: this is about something else.
            self.set_exception(error)

    def done(self) -> bool:
        """Tell whether no request waits for an answer."""
        return not self.busy

    def set_result(self, body: bytes, /) -> None:
        """Send the answer to the request."""
        self._end(self._gate.answer(self._exchange, body))

    def set_exception(self, error: Exception, /) -> None:
        """Send the answer to a request that did not go well."""
        self._end(self._gate.refuse(self._exchange, error))

    def _end(self, rendered: bytes) -> None:
        if self._room:
            self._gate.bodies.give_back(self._room)
            self._room = 0
        self.busy = False
        self._line.send(rendered, keeps_open=self._exchange.keeps_open)
