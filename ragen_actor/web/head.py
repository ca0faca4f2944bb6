"""The head of a request: its first line and its block of fields.

A client says the same fields with every request. So a block that was parsed once, for somebody with
a key, is remembered by its bytes: when they come again, only the first line is looked at. The same
bytes mean the same whichever of the ordinary methods and targets stands before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import httptools
from msgspec import Struct

BODY_BYTES_MAX: Final = 64 * 1024
"""A longer body is not ordinary: the framework reads it as it comes."""

_HEAD_BYTES_MAX: Final = 16 * 1024
_FIELDS_MAX: Final = 100
_UNUSUAL: Final = frozenset(("content-encoding", "expect", "transfer-encoding", "upgrade"))
_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PATCH", "DELETE")}
_LINE: Final = re.compile(rb"(GET|POST|PATCH|DELETE) (/v1/threads[!-~]*) HTTP/1\.1\r\n")
_END: Final = b"\r\n\r\n"
_BLOCKS_MAX: Final = 1024
_BLOCK_BYTES_MAX: Final = 2048


class Fields(dict[str, str]):
    """Header fields by their names in lower case; of each name there is one."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        """Return the only value under a name, or the default."""
        return (self[name],) if name in self else default


class Block(Struct, frozen=True):
    """What a block of fields says.

    Attributes:
        fields: All of them.
        body_bytes: The length of the body.
        keeps_open: Whether another request may follow on the connection.
    """

    fields: Fields
    body_bytes: int
    keeps_open: bool


class Head(Struct, frozen=True):
    """A sound head, without a field given twice and before a body whose length is known.

    Attributes:
        method: As sent.
        target: As sent.
        block: Its fields.
        size: Of the head itself, in bytes.
        is_ordinary: It begins an ordinary request for threads.
        is_known: Its block was remembered.
    """

    method: str
    target: str
    block: Block
    size: int
    is_ordinary: bool
    is_known: bool


class Heads:
    """Parses heads, and remembers blocks of fields: so many, the oldest forgotten first.

    Args:
        body_bytes_max: A longer body is not ordinary either.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = min(body_bytes_max, BODY_BYTES_MAX)
        self._blocks: dict[bytes, Block] = {}

    def __len__(self) -> int:
        """Count the blocks that are remembered."""
        return len(self._blocks)

    def parse(self, data: bytes) -> Head | None:
        """Return the head that some bytes begin with; None where there is none to go by."""
        line = _LINE.match(data)
        if line is not None:
            start = line.end()
            size = data.find(_END, start - 2, _HEAD_BYTES_MAX) + 4
            block = self._blocks.get(data[start:size])
            if block is not None:
                method, target = line.groups()
                return Head(_METHODS[method], target.decode(), block, size, True, True)
        size = data.find(_END, 0, _HEAD_BYTES_MAX) + 4
        if size < 4:
            return None
        return _Parsing(data[:size]).head(self._body_bytes_max)

    def remember(self, data: bytes, head: Head) -> None:
        """Know the block of an ordinary request when it comes again.

        Only that of somebody who has a key: nobody else may fill the memory.
        """
        line = _LINE.match(data)
        if line is None or head.size - line.end() > _BLOCK_BYTES_MAX:
            return
        if len(self._blocks) >= _BLOCKS_MAX:
            del self._blocks[next(iter(self._blocks))]
        self._blocks[data[line.end() : head.size]] = head.block


class _Parsing:
    """One head on its way through the parser, which calls the methods `on_`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._target = b""
        self._fields = Fields()
        self._count = 0
        self._keeps_open = False
        self._parser = httptools.HttpRequestParser(self)

    def on_url(self, part: bytes) -> None:
        """Take a part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        # The parser leaves the blanks behind a value, which are no part of it.
        text = value.rstrip(b" \t").decode("utf-8", "surrogateescape")
        self._fields[name.decode().lower()] = text
        self._count += 1

    def on_headers_complete(self) -> None:
        """Note what the parser forgets at the end of the request."""
        self._keeps_open = self._parser.should_keep_alive()

    def head(self, body_bytes_max: int) -> Head | None:
        """Parse it."""
        parser, fields = self._parser, self._fields
        try:
            parser.feed_data(self._data)
            # The parser has seen that this is a number.
            length = int(fields.get("content-length", "0"))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            return None
        if len(fields) != self._count or not fields.keys().isdisjoint(_UNUSUAL):
            return None
        method = parser.get_method()
        is_ordinary = (
            self._target.startswith(b"/v1/threads")
            and self._target.isascii()
            and method in _METHODS
            and parser.get_http_version() == "1.1"
            and self._count <= _FIELDS_MAX
            and "host" in fields
            and length <= body_bytes_max
        )
        block = Block(fields, length, self._keeps_open)
        return Head(
            method.decode(),
            self._target.decode("latin-1"),
            block,
            len(self._data),
            is_ordinary,
            False,
        )
