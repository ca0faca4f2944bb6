"""A thread as JSONL: itself on the first line, then each message, as the API shows them.

It is streamed a page at a time and waits for its reader, so a long thread takes no memory. What an
encrypted thread holds is readable in the file, as it is on the page.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from ragen_actor import schema
from ragen_actor.dashboard.protection import protect
from ragen_actor.dashboard.visit import Visit
from ragen_actor.errors import RagenError

PAGE: Final = 100


async def jsonl(visit: Visit) -> web.StreamResponse:
    """Stream a thread.

    Whatever goes wrong after the first byte breaks the connection, so that no browser takes half
    a thread for the whole.

    Raises:
        ThreadNotFound: There is no such thread.
        RagenError: It cannot be read, and nothing was sent yet.
    """
    vault = visit.backend.vault
    listed = await vault.get_thread(visit.org, visit.thread_id)
    query = schema.ListQuery(limit=PAGE, order="asc")
    page = await vault.list_messages(visit.org, visit.thread_id, query)
    if page.fault is not None:
        raise page.fault
    name = listed.thread.id
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/x-ndjson",
            "Content-Disposition": f'attachment; filename="{name}.jsonl"',
        }
    )
    protect(response)
    await response.prepare(visit.request)
    await response.write(schema.encode(listed.thread) + b"\n")
    try:
        while True:
            for each in page.turns:
                if each.fault is not None:
                    raise each.fault
            await response.write(
                b"".join([schema.encode(each.message) + b"\n" for each in page.turns])
            )
            if not page.has_more or visit.is_over:
                return response
            # A page from memory, written into a socket with room, lets nobody else have a turn.
            await asyncio.sleep(0)
            after = page.turns[-1].message.id
            query = schema.ListQuery(limit=PAGE, order="asc", after=after)
            page = await vault.list_messages(visit.org, visit.thread_id, query)
            if page.fault is not None:
                raise page.fault
    except RagenError as error:
        raise ConnectionError(error.message) from error
