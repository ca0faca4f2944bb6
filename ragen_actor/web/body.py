"""Request bodies: whole, or refused, within bounds of size, of time and of memory."""

from __future__ import annotations

import asyncio

from aiohttp import ClientPayloadError, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ragen_actor.errors import InvalidRequest, RagenError, Unavailable


class BodyTooLarge(RagenError):
    """The body is longer than the limit."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"The request body is too large: the limit is {bytes_max} bytes.")


class BodyTooSlow(RagenError):
    """The body did not arrive in time."""


class BrokenBody(InvalidRequest):
    """Its framing is broken; where a next request would begin is unknown."""


class UnsupportedEncoding(RagenError):
    """The body is compressed."""


class Bodies:
    """Reads bodies.

    Args:
        bytes_max: Of one body.
        all_bytes_max: Of all bodies in memory at once.
        seconds_max: For one to arrive.

    Attributes:
        bytes_max: As given.
    """

    def __init__(self, *, bytes_max: int, all_bytes_max: int, seconds_max: float) -> None:
        self.bytes_max = bytes_max
        self._all_bytes_max = all_bytes_max
        self._seconds_max = seconds_max
        self._held = 0

    def take_room(self, request: web.BaseRequest) -> int:
        """Keep room in memory for a body, until `give_back` of what this returns.

        Raises:
            BodyTooLarge: It says that it is too long.
            UnsupportedEncoding: It is compressed.
            Unavailable: There is no room now; nothing was read.
        """
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise UnsupportedEncoding(
                f"Bodies are not unpacked here: send it without Content-Encoding {encoding[:40]!r}."
            )
        length = request.content_length
        if length is not None and length > self.bytes_max:
            raise BodyTooLarge(self.bytes_max)
        if length is None:
            # One that does not say how long it is may take all that one may have.
            length = 0 if request.content.is_eof() else self.bytes_max
        self.hold(length)
        return length

    def hold(self, room: int) -> None:
        """Keep that much room in memory, until it is given back.

        Raises:
            Unavailable: There is no room now.
        """
        if self._held + room > self._all_bytes_max:
            raise Unavailable("The server is overloaded. Please try again.")
        self._held += room

    def give_back(self, room: int) -> None:
        """Let others have the room: the request is answered."""
        self._held -= room

    async def read(self, request: web.BaseRequest) -> bytes:
        """Return a body.

        Raises:
            BodyTooLarge: It is longer than it may be.
            BodyTooSlow: It did not arrive in time.
            BrokenBody: Its framing is broken.
        """
        content = request.content
        try:
            if content.is_eof():
                body = content.read_nowait()
            else:
                await _continue(request)
                async with asyncio.timeout(self._seconds_max):
                    body = await _read(content, self.bytes_max)
        except TimeoutError:
            raise BodyTooSlow(
                f"The request body did not arrive within {self._seconds_max:g} seconds."
            ) from None
        except (web.RequestPayloadError, ClientPayloadError, HttpProcessingError) as error:
            content.feed_eof()  # Nobody is to read on.
            raise BrokenBody(f"The request body could not be read: {_line(error)}") from None
        if len(body) > self.bytes_max:
            raise BodyTooLarge(self.bytes_max)
        return body


async def _read(content: StreamReader, bytes_max: int) -> bytes:
    chunks = []
    length = 0
    while chunk := await content.readany():
        chunks.append(chunk)
        length += len(chunk)
        if length > bytes_max:
            raise BodyTooLarge(bytes_max)
    return b"".join(chunks)


async def _continue(request: web.BaseRequest) -> None:
    """Ask a client for the body that it holds back until it knows that it is welcome."""
    asked = request.headers.get("Expect", "").lower() == "100-continue"
    if asked and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
