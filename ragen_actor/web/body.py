"""Request bodies: whole or in pieces, or refused, within bounds of size, time and memory."""

from __future__ import annotations

import asyncio

from aiohttp import ClientPayloadError, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ragen_actor.errors import InvalidRequest, RagenError, Unavailable

PIECE_BYTES = 64 * 1024
"""What a body that is read in pieces must bring in the time that a whole one has."""


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

    def pieces(self, request: web.BaseRequest, bytes_max: int) -> bytes | Pieces | None:
        """Return a body that is passed on as it comes; it takes no room here.

        Args:
            request: Of any method.
            bytes_max: Of the body.

        Returns:
            The body itself if it has arrived already; None if the request has none.

        Raises:
            BodyTooLarge: It says that it is too long.
        """
        content, length = request.content, request.content_length
        if length is not None and length > bytes_max:
            raise BodyTooLarge(bytes_max)
        if content.is_eof() and content.exception() is None:
            return content.read_nowait() or (None if length is None else b"")
        return Pieces(request, bytes_max=bytes_max, seconds_max=self._seconds_max)

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
        except _BROKEN as error:
            raise _broken(content, error) from None
        if len(body) > self.bytes_max:
            raise BodyTooLarge(self.bytes_max)
        return body


class Pieces:
    """A body piece by piece, for whoever asks for the next when it is done with the last.

    Args:
        request: Whose body it is.
        bytes_max: Of the whole.
        seconds_max: For each `PIECE_BYTES`, less what the asker takes in between.
    """

    def __init__(self, request: web.BaseRequest, *, bytes_max: int, seconds_max: float) -> None:
        self._request = request
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max
        self._left = seconds_max
        self._length = 0

    def __aiter__(self) -> Pieces:
        """Return itself: a body is read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            BodyTooLarge: The whole is longer than it may be.
            BodyTooSlow: Too little of it came in time.
            BrokenBody: Its framing is broken.
            ConnectionError: The client has left.
        """
        content = self._request.content
        if not self._length:
            await _continue(self._request)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._left):
                piece = await content.readany()
        except TimeoutError:
            raise BodyTooSlow(
                f"Less than {PIECE_BYTES} bytes of the request body arrived within "
                f"{self._seconds_max:g} seconds."
            ) from None
        except _BROKEN as error:
            raise _broken(content, error) from None
        if not piece:
            raise StopAsyncIteration
        self._left -= loop.time() - started
        if (self._length + len(piece)) // PIECE_BYTES > self._length // PIECE_BYTES:
            self._left = self._seconds_max
        self._length += len(piece)
        if self._length > self._bytes_max:
            raise BodyTooLarge(self._bytes_max)
        return piece


_BROKEN = (web.RequestPayloadError, ClientPayloadError, HttpProcessingError)


def _broken(content: StreamReader, error: Exception) -> BrokenBody:
    content.feed_eof()  # Nobody is to read on.
    return BrokenBody(f"The request body could not be read: {_line(error)}")


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
