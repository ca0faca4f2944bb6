"""The server's other door, for its operator: a Unix socket in the data directory.

Whoever may use the files may use it, and nobody else can reach it. What is asked there goes through
the actors like any request. An answer is a line of JSON for each half second that the work takes,
`{"report":{...}}`, and a last one, `{"done":{...}}` or `{"failed":"why"}`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import web

from ragen_actor.actors import Registry
from ragen_actor.actors.sweep import Report, sweep
from ragen_actor.control_path import SOCKET, control_path
from ragen_actor.errors import RagenError
from ragen_actor.vault.data_keys import DataKeys
from ragen_actor.vault.rewrap import RewrapReport, rewrap
from storage import Storage, StorageError

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.5
_SHUTDOWN_SECONDS = 2.0
_MODE = 0o600


class CompactRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /compact`.

    Attributes:
        now: All that is dead, not only what is due.
    """

    now: bool = False


class Control:
    """The control socket of a running server.

    Args:
        data_dir: Where the socket is made; its lock is this process's.
        storage: What is worked on.
        registry: The owners of the logs.
        data_keys: Those of the encrypted threads.
    """

    def __init__(
        self, data_dir: Path, storage: Storage, registry: Registry, data_keys: DataKeys
    ) -> None:
        self._data_dir = data_dir
        self._storage = storage
        self._registry = registry
        self._data_keys = data_keys
        self._runner: web.AppRunner | None = None
        self._server: asyncio.AbstractServer | None = None
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. A server that cannot have the socket serves without it, and says so."""
        app = web.Application()
        app.router.add_post("/compact", self._compact)
        app.router.add_post("/rewrap", self._rewrap)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        assert self._runner.server is not None
        try:
            listening = self._listening()
        except OSError as error:
            log.warning("no commands are taken through %s: %s", SOCKET, error)
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._runner.server, sock=listening)

    async def stop(self) -> None:
        """Take no more commands and end the one in hand."""
        if self._server is not None:
            self._server.close()
            (self._data_dir / SOCKET).unlink(missing_ok=True)
        if self._work is not None:
            self._work.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    def _listening(self) -> socket.socket:
        """Make the socket in the place of one that a crash left."""
        (self._data_dir / SOCKET).unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            # On Linux the file gets the mode of the socket, so nobody else can connect before the
            # second line; elsewhere the directory's mode keeps them out.
            with suppress(OSError):
                os.fchmod(made.fileno(), _MODE)
            with control_path(self._data_dir) as path:
                made.bind(path)
            os.chmod(self._data_dir / SOCKET, _MODE)
        except OSError:
            made.close()
            raise
        return made

    async def _compact(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = msgspec.json.decode(await request.read() or b"{}", type=CompactRequest)
        except msgspec.DecodeError as error:
            return _refusal(400, str(error))
        report = Report()
        work = sweep(self._storage, self._registry, report, now=asked.now)
        return await self._do(request, report, work)

    async def _rewrap(self, request: web.Request) -> web.StreamResponse:
        report = RewrapReport()
        return await self._do(request, report, rewrap(self._registry, self._data_keys, report))

    async def _do(
        self, request: web.Request, report: msgspec.Struct, work: Coroutine[None, None, None]
    ) -> web.StreamResponse:
        if self._work is not None:
            work.close()
            return _refusal(409, "a compaction or a rewrap is under way already")
        self._work = task = asyncio.create_task(work, name="operator's work")
        try:
            return await self._follow(request, report, task)
        finally:
            # Whoever asked may have left: the work ends with the file in hand.
            task.cancel()
            await asyncio.wait({task})
            self._work = None

    async def _follow(
        self, request: web.Request, report: msgspec.Struct, task: asyncio.Task[None]
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        while not task.done():
            await answer.write(_line(report=report))
            await asyncio.wait({task}, timeout=REPORT_SECONDS)
        try:
            await task
        except asyncio.CancelledError:
            await answer.write(_line(failed="the server stops"))
        except RagenError as error:
            await answer.write(_line(failed=error.message))
        except (StorageError, OSError) as error:
            log.error("what the operator asked for failed: %s", error)
            await answer.write(_line(failed=str(error)))
        else:
            await answer.write(_line(done=report))
        await answer.write_eof()
        return answer


def _refusal(status: int, reason: str) -> web.Response:
    return web.Response(status=status, body=_line(failed=reason), content_type="application/json")


def _line(**said: object) -> bytes:
    return msgspec.json.encode(said) + b"\n"
