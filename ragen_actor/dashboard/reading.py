"""What can be read: the page, the list, a conversation, a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from ragen_actor import schema
from ragen_actor.dashboard import filtering, views
from ragen_actor.dashboard.protection import PICTURE_HEADERS
from ragen_actor.dashboard.visit import Visit
from ragen_actor.errors import InvalidRequest, NotFound, RagenError, Refused
from ragen_actor.vault import ListedThread, Turn

ROWS = 40
TURNS = 30
RENDERED_AT_ONCE_CHARS = 64 * 1024
"""Of one turn in the event loop; more would keep others waiting."""

MORE = "X-More"
"""Says on a part of a list whether more lies in the direction asked for."""
CURSOR = "X-Cursor"
"""Says behind which thread to go on, where that is not the last one shown."""


async def home(visit: Visit) -> web.Response:
    """Return the page with the list and no conversation."""
    return visit.pages.response("home.html", await _frame(visit))


async def thread(visit: Visit) -> web.Response:
    """Return the page with the list and one conversation, at its newest end."""
    conversation = await _conversation(visit)
    return visit.pages.response("thread.html", {**await _frame(visit), **conversation})


async def conversation(visit: Visit) -> web.Response:
    """Return a conversation alone, for a page that has the list already."""
    return visit.pages.response("_conversation.html", await _conversation(visit))


async def rows(visit: Visit) -> web.Response:
    """Return a part of the list, filtered or not."""
    query = schema.parse_list_query(visit.query, "thread")
    wanted = visit.fields.get("filter", "").strip()
    if wanted:
        found = await filtering.search(visit, wanted, query.after, rows_max=ROWS)
        listed, more, cursor = found.threads, found.has_more, found.cursor
    else:
        asked = schema.ListQuery(limit=ROWS, after=query.after, before=query.before)
        page = await visit.backend.vault.list_threads(visit.org, asked)
        listed, more, cursor = page.threads, page.has_more, ""
    headers = {MORE: _word(more), **({CURSOR: cursor} if cursor else {})}
    shown = await _rows(visit, listed)
    return visit.pages.response("_rows.html", {"rows": shown, "current": ""}, headers=headers)


async def row(visit: Visit) -> web.Response:
    """Return one thread's line of the list."""
    listed = await visit.backend.vault.get_thread(visit.org, visit.thread_id)
    shown = await _rows(visit, (listed,))
    return visit.pages.response("_rows.html", {"rows": shown, "current": ""})


async def turns(visit: Visit) -> web.Response:
    """Return a part of a conversation, oldest first, whichever way it was asked for."""
    query = schema.parse_list_query(visit.query, "message")
    page = await visit.backend.vault.list_messages(visit.org, visit.thread_id, query)
    found = page.turns if query.order == "asc" else page.turns[::-1]
    return visit.pages.response(
        "_turns.html",
        {"turns": [views.turn(each) for each in found]},
        headers={MORE: _word(page.has_more)},
    )


async def turn(visit: Visit) -> web.Response:
    """Return one turn, all of it."""
    read = await visit.backend.vault.get_message(visit.org, visit.thread_id, visit.message_id)

    def render() -> web.Response:
        return visit.pages.response("_turns.html", {"turns": [views.turn(read, whole=True)]})

    if views.size(read) <= RENDERED_AT_ONCE_CHARS:
        return render()
    return await asyncio.to_thread(render)


async def picture(visit: Visit) -> web.Response:
    """Return a page with one image from elsewhere, for a frame that somebody asked to see."""
    url = visit.fields.get("url", "")
    if not views.is_picture_url(url):
        raise InvalidRequest("This is no address of an image.", param="url")
    return visit.pages.response("picture.html", {"url": url}, headers=PICTURE_HEADERS)


async def _frame(visit: Visit) -> dict[str, object]:
    page = await visit.backend.vault.list_threads(visit.org, schema.ListQuery(limit=ROWS))
    return {
        "rows": await _rows(visit, page.threads),
        "more_rows": page.has_more,
        "key": visit.session.key,
        "csrf": visit.session.csrf,
        "can_encrypt": visit.backend.vault.wraps_with is not None,
        "current": visit.thread_id,
    }


async def _conversation(visit: Visit) -> dict[str, object]:
    vault = visit.backend.vault
    listed = await vault.get_thread(visit.org, visit.thread_id)
    page = await vault.list_messages(visit.org, visit.thread_id, schema.ListQuery(limit=TURNS))
    found = page.turns[::-1]
    first = None if page.has_more or listed.encrypted or not found else found[0]
    retry_ms = page.fault.retry_after_ms if isinstance(page.fault, Refused) else 0
    return {
        "row": views.row(listed, first),
        "thread": listed.thread,
        "turns": [views.turn(each) for each in found],
        "older": page.has_more,
        "fault": page.fault,
        "retry_ms": round(retry_ms),
    }


async def _rows(visit: Visit, listed: Sequence[ListedThread]) -> list[views.Row]:
    """Return the lines of these threads; those without a title are called by their first turn."""
    firsts = await asyncio.gather(*[_first_turn(visit, each) for each in listed])
    return [
        views.row(each, turn, damaged=damaged)
        for each, (turn, damaged) in zip(listed, firsts, strict=True)
    ]


async def _first_turn(visit: Visit, listed: ListedThread) -> tuple[Turn | None, bool]:
    """Return a thread's oldest turn, if it is wanted, and whether it cannot be read."""
    # An encrypted one is not opened for a line of the list: a key would be unwrapped for each.
    if (listed.thread.title or "").strip() or listed.encrypted:
        return None, False
    oldest = schema.ListQuery(limit=1, order="asc")
    try:
        page = await visit.backend.vault.list_messages(visit.org, listed.thread.id, oldest)
    except NotFound:
        return None, False  # It was deleted meanwhile; its line goes as soon as that is told.
    except RagenError:
        return None, True  # What is damaged says so when it is opened, and hides no others.
    return (page.turns[0] if page.turns else None), False


def _word(flag: bool) -> str:
    return "true" if flag else "false"
