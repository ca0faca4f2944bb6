"""The fast path: an ordinary request for threads is answered without the framework.

For each request the framework makes a stream for the body, a request, a writer, a response and a
task, which together cost more than what is done for the request. An ordinary one needs none of
them: its head comes in one piece, and its body is short. It is parsed here, asked, and its answer
is written when it is there.

Whatever is not ordinary goes to the framework, with every byte from its beginning on. So each
request has one parser, and what a request means is for the gate to say on both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import httptools

from ragen_actor.errors import RagenError
from ragen_actor.web.exchange import Exchange
from ragen_actor.web.gate import BODY_METHODS, Gate

BODY_BYTES_MAX: Final = 64 * 1024
"""A longer body is not ordinary: the framework reads it as it comes."""

_HEAD_BYTES_MAX: Final = 16 * 1024
_FIELDS_MAX: Final = 100
_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PATCH", "DELETE")}
_THREADS: Final = b"/v1/threads"
_UNUSUAL: Final = frozenset(("content-encoding", "expect", "transfer-encoding", "upgrade"))


class Line(Protocol):
    """A connection, as the fast path needs it."""

    peer: str | None

    def send(self, rendered: bytes, *, keeps_open: bool) -> None:
        """Write an answer, then go on with the connection or end it."""


class Fields(dict[str, str]):
    """Header fields by their names in lower case; of each name there is one."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        """Return the only value under a name, or the default."""
        return (self[name],) if name in self else default


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

    __slots__ = (
        "_exchange",
        "_fields",
        "_fields_count",
        "_gate",
        "_head_bytes",
        "_keeps_open",
        "_line",
        "_parser",
        "_room",
        "_target",
        "busy",
        "due",
        "held",
    )

    def __init__(self, gate: Gate, line: Line) -> None:
        self._gate = gate
        self._line = line
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange
        self._room = 0
        self.busy = False
        self.held = b""
        self.due = -1

    def on_url(self, part: bytes) -> None:
        """Take a part of the target; the parser calls this."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; the parser calls this."""
        # The parser leaves the blanks behind a value, which are no part of it.
        text = value.rstrip(b" \t").decode("utf-8", "surrogateescape")
        self._fields[name.decode().lower()] = text
        self._fields_count += 1

    def on_headers_complete(self) -> None:
        """Note what the parser forgets at the end of the request; the parser calls this."""
        self._keeps_open = self._parser.should_keep_alive()

    def feed(self, data: bytes) -> bytes:
        """Take bytes that begin a request, or go on with the one that is held.

        The answer may be sent before this returns.

        Returns:
            What the framework must have instead: the request from its first byte on, and whatever
            follows it. Nothing, if the request stays here.
        """
        if self.held:
            self.held += data
        else:
            if not self._parse_head(data):
                return data
            self.held = data
        if len(self.held) > self.due:
            return self.give_up()
        if len(self.held) == self.due:
            data, self.held = self.held, b""
            self._begin(data[self._head_bytes :])
        return b""

    def give_up(self) -> bytes:
        """Return what is held, for the framework."""
        held, self.held = self.held, b""
        self._renew()
        return held

    def _parse_head(self, data: bytes) -> bool:
        """Parse a request's head; say whether it is an ordinary one."""
        self.due = -1
        self._head_bytes = data.find(b"\r\n\r\n", 0, _HEAD_BYTES_MAX) + 4
        if self._head_bytes < 4:
            return False
        self._fields = fields = Fields()
        self._fields_count = 0
        self._target = b""
        parser = self._parser
        try:
            parser.feed_data(data[: self._head_bytes])
            # The parser has seen that this is a number.
            length = int(fields.get("content-length", "0"))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            self._renew()
            return False
        if len(fields) == self._fields_count and fields.keys().isdisjoint(_UNUSUAL):
            self.due = self._head_bytes + length
            if (
                self._target.startswith(_THREADS)
                and self._target.isascii()
                and parser.get_method() in _METHODS
                and parser.get_http_version() == "1.1"
                and self._fields_count <= _FIELDS_MAX
                and "host" in fields
                and length <= BODY_BYTES_MAX
                and length <= self._gate.bodies.bytes_max
                and (len(data) == self.due or self._is_known())
            ):
                return True
        self._renew()
        return False

    def _is_known(self) -> bool:
        """Tell whether a request's key is known, before any of its body is kept."""
        try:
            self._gate.key(self._fields)
        except RagenError:
            return False
        return True

    def _renew(self) -> None:
        """Have a parser that has seen nothing."""
        self._parser = httptools.HttpRequestParser(self)

    def _begin(self, body: bytes) -> None:
        """Pass the door with a whole request."""
        gate, parser = self._gate, self._parser
        if body:
            parser.feed_data(body)  # It is behind this request then.
        exchange = Exchange(
            _METHODS[parser.get_method()],
            self._target.decode(),
            self._fields,
            peer=self._line.peer,
            started=gate.clock(),
            keeps_open=self._keeps_open,
        )
        self._exchange = exchange
        self.busy = True
        if exchange.method not in BODY_METHODS:
            body = b""
        try:
            gate.admit(exchange)
            gate.bodies.hold(len(body))
            self._room = len(body)
            gate.ask(exchange, body, self)
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
        self._gate.bodies.give_back(self._room)
        self._room = 0
        self.busy = False
        self._line.send(rendered, keeps_open=self._exchange.keeps_open)
