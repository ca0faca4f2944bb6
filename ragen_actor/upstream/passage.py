"""One request on its way to the upstream, and its answer on the way back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import ClientResponse, ClientSession, web
from multidict import CIMultiDict
from yarl import URL

from ragen_actor.errors import RagenError, UpstreamFailed, UpstreamTooSlow
from ragen_actor.upstream.mask import Mask, masked
from ragen_actor.upstream.reply import Ours, Reply

log = logging.getLogger(__name__)

LEFT = 499
"""The status that the access log shows when the client left before there was an answer."""

_PIECE_BYTES_MAX = 64 * 1024
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_KEY_REFUSED = frozenset((401, 407))


class ClientLeft(Exception):
    """Nobody is there any more to be answered."""


class Relayed(web.StreamResponse):
    """What the framework is given for an answer that has been written already.

    Attributes:
        request_id: What the answer, or the upstream's log, calls it.
    """

    def __init__(self, status: int, request_id: str, *, keeps_alive: bool) -> None:
        # The framework's attributes are not set up: it asks for no more than what is here.
        self._status = status
        self.request_id = request_id
        self._keeps_alive = keeps_alive

    @property
    def keep_alive(self) -> bool | None:
        """Tell whether the connection stays open."""
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing: the head is written."""

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Do nothing: so is the end."""


class Passage:
    """Passes one request on, and its answer back, piece by piece as they come.

    One piece is on its way in each direction: whoever reads slowly makes the other side wait.
    Whatever ends it early, the connection to the upstream ends with it.

    Args:
        request: Of the client's; its key is known and nothing of its body is read.
        ours: What this server adds to the answer's head.
        silent_seconds_max: For the upstream to take or to send something.
        api_key: Of the upstream, to be kept out of the answer.
    """

    def __init__(
        self, request: web.BaseRequest, ours: Ours, *, silent_seconds_max: float, api_key: str
    ) -> None:
        self._request = request
        self._ours = ours
        self._silent_seconds_max = silent_seconds_max
        self._api_key = api_key
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._limit = asyncio.timeout(None)
        self._running = False
        self._failure: Exception | None = None
        self._reply: Reply | None = None

    def end(self, failure: Exception) -> None:
        """Stop it where it is, for this reason; the first one counts."""
        if self._failure is None:
            self._failure = failure
            if self._running and not self._limit.expired():
                self._limit.reschedule(self._loop.time())

    async def run(
        self,
        session: ClientSession,
        url: URL,
        headers: CIMultiDict[str],
        body: AsyncIterator[bytes] | bytes | None,
    ) -> Relayed:
        """Do it all; return when the answer is written.

        Raises:
            RagenError: It failed before anything of an answer was written.
        """
        data = body if body is None or isinstance(body, bytes) else _Upload(self, body)
        response: ClientResponse | None = None
        failure: Exception | None = None
        try:
            async with self._limit:
                self._running = True
                if self._failure is not None:
                    raise self._failure
                self.alive()
                response = await session.request(
                    self._request.method, url, headers=headers, data=data, allow_redirects=False
                )
                await self._relay(response)
        except (RagenError, ClientLeft) as error:
            failure = error
        except aiohttp.ServerTimeoutError as error:
            failure = UpstreamTooSlow("The upstream could not be reached in time.")
            failure.__cause__ = error
        except TimeoutError:
            failure = UpstreamTooSlow(
                f"The upstream was silent for {self._silent_seconds_max:g} seconds."
            )
        except (aiohttp.ClientError, OSError) as error:
            what = "could not be reached" if response is None else "cut its answer short"
            if isinstance(error, aiohttp.ServerDisconnectedError):
                what = "closed the connection without an answer"
            failure = UpstreamFailed(f"The upstream {what}.")
            failure.__cause__ = error
        except Exception as error:
            if self._reply is None:
                raise
            log.exception("%s failed in the middle", self._reply.request_id)
            raise ConnectionError("the answer has begun already") from error
        finally:
            self._running = False
            if response is not None:
                response.close()
        if failure is None:
            assert self._reply is not None
            return self._relayed(keeps_alive=self._reply.keeps_alive)
        return await self._fail(self._failure or failure)

    def alive(self) -> None:
        """Wait for the upstream from now on, for as long as it may be silent."""
        if self._failure is None and self._running:
            self._limit.reschedule(self._loop.time() + self._silent_seconds_max)

    def rest(self) -> None:
        """Wait for somebody else, who has a bound of its own."""
        if self._failure is None and self._running:
            self._limit.reschedule(None)

    @property
    def answering(self) -> bool:
        """Whether the answer has begun, though the request may not have ended."""
        return self._reply is not None

    async def _relay(self, response: ClientResponse) -> None:
        self._check(response)
        seconds = self._loop.time() - self._started
        reply = Reply(self._request, response, self._ours, self._api_key, seconds)
        content = response.content
        piece = b""
        if not reply.is_events:
            # Until there is something to send, a failure can still be told by its own status.
            piece = await content.read(_PIECE_BYTES_MAX)
        self._reply = reply
        writer = self._request.writer
        mask = None
        if reply.status >= 400:
            mask = Mask(self._api_key.encode())
        await self._write(reply.head)
        if reply.is_chunked:
            writer.enable_chunking()
        while piece or not content.at_eof():
            if piece:
                reply.note(piece)
                await self._write(piece if mask is None else mask.feed(piece))
            self.alive()
            piece = await content.read(_PIECE_BYTES_MAX)
        if mask is not None:
            await self._write(mask.rest())
        await self._finish()

    def _check(self, response: ClientResponse) -> None:
        """Refuse what would mislead the client, or lead it elsewhere."""
        if response.status in _KEY_REFUSED:
            raise UpstreamFailed(
                "The upstream refused the key of this server. Please tell its operator."
            )
        if response.status in _REDIRECTS:
            raise UpstreamFailed(
                "The upstream answered with a redirect, which is not followed. Please tell the "
                "operator of this server."
            )
        if response.status < 200:
            raise UpstreamFailed("The upstream changed the protocol, which nobody asked for.")

    async def _write(self, piece: bytes) -> None:
        if not piece:
            return
        self.rest()
        try:
            await self._request.writer.write(piece)
        except ConnectionError:
            raise ClientLeft from None

    async def _finish(self) -> None:
        self.rest()
        assert self._reply is not None
        try:
            if not self._reply.is_empty:
                await self._request.writer.write_eof()
        except ConnectionError:
            raise ClientLeft from None

    async def _fail(self, failure: Exception) -> Relayed:
        if isinstance(failure, ClientLeft):
            return self._relayed(keeps_alive=False)
        assert isinstance(failure, RagenError)
        reply = self._reply
        cause = failure.__cause__
        why = f" ({type(cause).__name__}: {cause})" if cause is not None else ""
        request_id = reply.request_id if reply is not None else self._ours.request_id
        log.warning("%s %s", request_id, masked(failure.message + why, self._api_key))
        if reply is None:
            raise failure
        words = reply.last_words(failure)
        if words is None:
            return self._relayed(keeps_alive=False)
        try:
            await self._write(words)
            await self._finish()
        except ClientLeft:
            return self._relayed(keeps_alive=False)
        return self._relayed(keeps_alive=reply.keeps_alive)

    def _relayed(self, *, keeps_alive: bool) -> Relayed:
        if self._reply is None:
            return Relayed(LEFT, self._ours.request_id, keeps_alive=keeps_alive)
        return Relayed(self._reply.status, self._reply.request_id, keeps_alive=keeps_alive)


class _Upload:
    """The client's body, as the client library takes it: asked for each piece when it has room."""

    def __init__(self, passage: Passage, pieces: AsyncIterator[bytes]) -> None:
        self._passage = passage
        self._pieces = pieces

    def __aiter__(self) -> _Upload:
        return self

    async def __anext__(self) -> bytes:
        passage = self._passage
        if not passage.answering:
            passage.rest()
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._sent()
            raise
        except ConnectionError as error:
            passage.end(ClientLeft())
            raise error
        except RagenError as error:
            passage.end(error)
            raise
        self._sent()
        return piece

    def _sent(self) -> None:
        if not self._passage.answering:
            self._passage.alive()
