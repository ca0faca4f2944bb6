"""One function for each route: the request becomes a command, and its owner is asked.

The owner answers to the call's reply. Whatever is wrong with the request itself is raised here,
before anybody is asked.
"""

from __future__ import annotations

from ragen_actor import actors, schema
from ragen_actor.errors import AssistantNotFound
from ragen_actor.web.call import Api, Call

_ASSISTANT = "asst-"


def create_thread(api: Api, call: Call) -> None:
    """Create a thread, with initial messages or without."""
    request = schema.parse_create_thread(call.body, messages_max=api.messages_max)
    assistant_id = request.assistant_id
    if assistant_id is None:
        assistant_id = _ASSISTANT + call.key.project
    elif not assistant_id.startswith(_ASSISTANT) or not api.keyring.has_project(
        call.key.org, assistant_id.removeprefix(_ASSISTANT)
    ):
        raise AssistantNotFound(assistant_id)
    api.registry.tell_catalog(call.key.org, actors.CreateThread(request, assistant_id), call.reply)


def list_threads(api: Api, call: Call) -> None:
    """List the organisation's threads."""
    query = schema.parse_list_query(call.query, "thread")
    api.registry.tell_catalog(call.key.org, actors.ListThreads(query), call.reply)


def get_thread(api: Api, call: Call) -> None:
    """Return one thread."""
    api.registry.tell_catalog(call.key.org, actors.GetThread(call.thread_id), call.reply)


def modify_thread(api: Api, call: Call) -> None:
    """Change a thread's title, metadata or tool resources."""
    command = actors.ModifyThread(schema.parse_modify_thread(call.body))
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)


def delete_thread(api: Api, call: Call) -> None:
    """Delete a thread with its messages."""
    api.registry.tell_thread(call.key.org, call.thread_id, actors.DeleteThread(), call.reply)


def create_message(api: Api, call: Call) -> None:
    """Add one turn to a thread."""
    command = actors.AppendMessage(schema.parse_create_message(call.body))
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)


def list_messages(api: Api, call: Call) -> None:
    """List a thread's messages."""
    command = actors.ListMessages(schema.parse_list_query(call.query, "message"))
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)


def get_message(api: Api, call: Call) -> None:
    """Return one message."""
    command = actors.GetMessage(call.message_id)
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)


def modify_message(api: Api, call: Call) -> None:
    """Change a message's metadata."""
    command = actors.ModifyMessage(call.message_id, schema.parse_modify_message(call.body))
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)


def delete_message(api: Api, call: Call) -> None:
    """Delete one message."""
    command = actors.DeleteMessage(call.message_id)
    api.registry.tell_thread(call.key.org, call.thread_id, command, call.reply)
