"""Objects as they are stored and served: a new turn, and a thread after a change."""

from __future__ import annotations

import msgspec

from ragen_actor import schema
from ragen_actor.errors import InvalidRequest, RagenError


def turn(
    thread_id: str, message: schema.NewMessage, *, ms: int, sequence: int, random: int
) -> bytes:
    """Return a new message as it is stored and served.

    Args:
        thread_id: Whose it is.
        message: What was sent.
        ms: Its creation time, Unix milliseconds.
        sequence: Its place in the thread, from 1.
        random: 48 random bits.
    """
    created_at = ms // 1000
    return schema.encode(
        schema.Message(
            id=schema.make_message_id(ms, sequence, random),
            created_at=created_at,
            thread_id=thread_id,
            role=message.role,
            content=message.content,
            attachments=message.attachments,
            metadata=message.metadata,
            completed_at=created_at,
        )
    )


def thread_too_long() -> RagenError:
    """Say that a thread is longer than a line may be; nothing else in it can be so long."""
    return InvalidRequest(
        "Invalid 'tool_resources': the thread is too large to be stored.", param="tool_resources"
    )


def too_long() -> RagenError:
    """Say that a message is longer than a line may be."""
    return InvalidRequest(
        "Invalid 'content': the message is too large to be stored.", param="content"
    )


def after_change(thread: schema.Thread, change: schema.ModifyThread) -> schema.Thread:
    """Return the thread as it is after a change; what is UNSET stays as it was."""
    title = thread.title if change.title is msgspec.UNSET else change.title
    resources = change.tool_resources
    return msgspec.structs.replace(
        thread,
        title=title,
        tool_resources=thread.tool_resources if resources is msgspec.UNSET else resources,
        metadata=thread.metadata
        if change.metadata is msgspec.UNSET
        else schema.merge_metadata(thread.metadata, change.metadata),
    )
