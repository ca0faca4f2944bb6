"""Changes as they happen, as server-sent events: what changed, by its id, never what it says.

A page that hears of something reads it like everything else. So an event that is lost costs
nothing once the page has caught up, which it does whenever a stream begins.

Source: WHATWG HTML, 9.2 Server-sent events.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from ragen_actor.actors import Watch
from ragen_actor.dashboard.protection import protect
from ragen_actor.dashboard.visit import Visit

BEAT_SECONDS: Final = 15.0
"""A stream without news says that it lives, so that proxies leave it open."""
LOOK_SECONDS: Final = 1.0
"""How soon a stream sees that its reader has left, or that its session has ended."""
PAUSE_SECONDS: Final = 0.1
"""Between two messages: a busy thread is told of ten times a second at most."""


async def stream(visit: Visit) -> web.StreamResponse:
    """Tell one page of changes until it leaves, its session ends or the server stops.

    Raises:
        ThreadNotFound: There is no such thread.
        Unavailable: Too many pages are told already.
    """
    watchers = visit.backend.registry.watchers
    thread_id = visit.fields.get("thread") or None
    if thread_id is not None:
        await visit.backend.vault.get_thread(visit.org, thread_id)
    watch = watchers.open(visit.org, thread_id)
    try:
        return await _tell(visit, watch)
    finally:
        watchers.close(watch)


async def _tell(visit: Visit, watch: Watch) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    protect(response)
    await response.prepare(visit.request)
    await response.write(b"retry: 2000\n\n")
    silent = 0.0
    while not (visit.is_over or watch.ended):
        if not visit.sessions.is_live(visit.session):
            await response.write(b"event: signed-out\ndata: {}\n\n")
            break
        changes = await watch.wait(LOOK_SECONDS)
        silent = 0.0 if changes else silent + LOOK_SECONDS
        if changes:
            await response.write(
                b"".join(
                    b"event: %b\ndata: %b\n\n" % (each.kind.encode(), msgspec.json.encode(each))
                    for each in changes
                )
            )
            await asyncio.sleep(PAUSE_SECONDS)
        elif silent >= BEAT_SECONDS:
            await response.write(b": still here\n\n")
            silent = 0.0
    return response
