"""Objects as they are stored and served: a new turn, and a thread after a change."""

from __future__ import annotations

import msgspec

from ragen_actor import schema
from ragen_actor.actors.sealed import SealedTurn
from ragen_actor.errors import InvalidRequest, RagenError

_SEALED_CONTENT = (schema.TextPart(schema.Text(schema.PLACEHOLDER)),)


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


def sealed_turn(
    thread_id: str, new: SealedTurn, *, ms: int, sequence: int, random: int
) -> tuple[bytes, bytes]:
    """Return a new encrypted message as it is stored and served, and what is sealed of it.

    Args:
        thread_id: Whose it is.
        new: What was asked for.
        ms: Its creation time, Unix milliseconds.
        sequence: Its place in the thread, from 1.
        random: 48 random bits.
    """
    shown = schema.NewMessage(new.role, _SEALED_CONTENT, (), new.metadata)
    data = turn(thread_id, shown, ms=ms, sequence=sequence, random=random)
    return data, new.seal(thread_id, schema.make_message_id(ms, sequence, random))


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


def after_message_change(data: bytes, change: schema.ModifyMessage) -> bytes:
    """Return a message as it is after a change; the same bytes if that changes nothing."""
    message = schema.decode_message(data)
    if change.metadata is msgspec.UNSET:
        return data
    metadata = schema.merge_metadata(message.metadata, change.metadata)
    if metadata == message.metadata:
        return data
    return schema.encode(msgspec.structs.replace(message, metadata=metadata))


def after_change(data: bytes, change: schema.ModifyThread) -> bytes:
    """Return a thread as it is after a change; the same bytes if that changes nothing."""
    thread = schema.decode_thread(data)
    changed = _changed(thread, change)
    return data if changed == thread else schema.encode(changed)


def _changed(thread: schema.Thread, change: schema.ModifyThread) -> schema.Thread:
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
