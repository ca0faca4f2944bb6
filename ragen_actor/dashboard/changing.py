"""What can be changed. Bodies are those of the API, checked by the same code."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ragen_actor import actors, schema
from ragen_actor.dashboard.visit import Visit


async def create_thread(visit: Visit) -> web.Response:
    """Create a thread, plain or encrypted; return its id."""
    request = schema.parse_create_thread(visit.body, messages_max=visit.backend.messages_max)
    assistant_id = f"asst-{visit.session.key.project}"
    if visit.fields.get("encrypted") == "true":
        created = await visit.backend.vault.create_thread(visit.org, request, assistant_id)
        return _id(created.id)
    command = actors.CreateThread(request, assistant_id)
    body = await visit.backend.registry.ask_catalog(visit.org, command)
    return _id(schema.decode_thread(body).id)


async def modify_thread(visit: Visit) -> web.Response:
    """Change a thread's title or metadata."""
    command = actors.ModifyThread(schema.parse_modify_thread(visit.body))
    await visit.backend.registry.ask_thread(visit.org, visit.thread_id, command)
    return _id(visit.thread_id)


async def delete_thread(visit: Visit) -> web.Response:
    """Delete a thread with its turns."""
    registry = visit.backend.registry
    await registry.ask_thread(visit.org, visit.thread_id, actors.DeleteThread())
    return _id(visit.thread_id)


async def create_turn(visit: Visit) -> web.Response:
    """Add a turn of either role; return its id."""
    message = schema.parse_create_message(visit.body)
    stored = await visit.backend.vault.append(visit.org, visit.thread_id, message)
    return _id(stored.id)


async def delete_turn(visit: Visit) -> web.Response:
    """Delete a turn."""
    command = actors.DeleteMessage(visit.message_id)
    await visit.backend.registry.ask_thread(visit.org, visit.thread_id, command)
    return _id(visit.message_id)


def _id(name: str) -> web.Response:
    body = msgspec.json.encode({"id": name})
    return web.Response(body=body, content_type="application/json")
