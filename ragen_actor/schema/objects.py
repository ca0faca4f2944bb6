"""Objects as they go out and as they are stored: the same bytes, key for key.

Storage keeps what `encode` returns and serves it back undecoded, so the order of fields below is
the order on the wire, and every object begins with `{"id":"`. Stored objects may have been written
by a newer version: fields not known here are skipped, and every field added later has a default.

Source: OpenAI openapi.json, ThreadObject and MessageObject; `title` and `assistant_id` of a thread
are the product page's extensions.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

PLACEHOLDER = "[encrypted — open this thread in the dashboard to view]"
"""What stands in the place of a sealed message's content. Source: the product page."""

Role = Literal["user", "assistant"]
Detail = Literal["auto", "low", "high"]


# gc=False: these form trees, never cycles, so the collector need not walk them.
class Text(Struct, frozen=True, gc=False):
    """A text and the marks that runs leave on it; by hand there are none."""

    value: str
    annotations: tuple[Any, ...] = ()


class TextPart(Struct, frozen=True, gc=False, tag_field="type", tag="text"):
    """`{"type":"text","text":{"value":...,"annotations":[]}}`."""

    text: Text


class ImageUrl(Struct, frozen=True, gc=False):
    """Where an image lies; nothing here fetches it."""

    url: str
    detail: Detail = "auto"


class ImageUrlPart(Struct, frozen=True, gc=False, tag_field="type", tag="image_url"):
    """`{"type":"image_url","image_url":{"url":...,"detail":"auto"}}`."""

    image_url: ImageUrl


class ImageFile(Struct, frozen=True, gc=False):
    """An uploaded image; nothing here looks it up."""

    file_id: str
    detail: Detail = "auto"


class ImageFilePart(Struct, frozen=True, gc=False, tag_field="type", tag="image_file"):
    """`{"type":"image_file","image_file":{"file_id":...,"detail":"auto"}}`."""

    image_file: ImageFile


Part = TextPart | ImageUrlPart | ImageFilePart


class AttachmentTool(Struct, frozen=True, gc=False):
    """A tool that an attached file is meant for."""

    type: Literal["code_interpreter", "file_search"]


class Attachment(Struct, frozen=True, gc=False):
    """A file attached to a message; `tools` goes out only if it came in."""

    file_id: str
    tools: tuple[AttachmentTool, ...] | UnsetType = UNSET


class CodeInterpreterResources(Struct, frozen=True, gc=False):
    """At most 20 files."""

    file_ids: tuple[str, ...] | UnsetType = UNSET


class FileSearchResources(Struct, frozen=True, gc=False):
    """At most one vector store."""

    vector_store_ids: tuple[str, ...] | UnsetType = UNSET


class ToolResources(Struct, frozen=True, gc=False):
    """What a thread's tools may use, as sent: what was not sent is not there."""

    code_interpreter: CodeInterpreterResources | UnsetType = UNSET
    file_search: FileSearchResources | UnsetType = UNSET


class Thread(Struct, frozen=True, gc=False, kw_only=True):
    """A thread; `created_at` is in Unix seconds, `assistant_id` is `asst-<project>`."""

    id: str
    object: Literal["thread"] = "thread"
    created_at: int
    metadata: dict[str, str] = {}
    tool_resources: ToolResources = ToolResources()
    title: str | None = None
    assistant_id: str | None = None


class Message(Struct, frozen=True, gc=False, kw_only=True):
    """One turn of a thread, with all 14 keys; times are in Unix seconds."""

    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    assistant_id: str | None = None
    thread_id: str
    run_id: str | None = None
    role: Role
    content: tuple[Part, ...]
    attachments: tuple[Attachment, ...] = ()
    metadata: dict[str, str] = {}
    status: Literal["in_progress", "incomplete", "completed"] = "completed"
    completed_at: int | None = None
    incomplete_at: int | None = None
    incomplete_details: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()
_thread_decoder = msgspec.json.Decoder(Thread)
_message_decoder = msgspec.json.Decoder(Message)


def encode(value: Thread | Message) -> bytes:
    """Return the object as compact JSON, to be stored and served as it is."""
    return _encoder.encode(value)


def decode_thread(data: bytes | memoryview) -> Thread:
    """Return the thread that `encode` wrote.

    Raises:
        msgspec.DecodeError: The bytes are no thread.
    """
    return _thread_decoder.decode(data)


def decode_message(data: bytes | memoryview) -> Message:
    """Return the message that `encode` wrote.

    Raises:
        msgspec.DecodeError: The bytes are no message.
    """
    return _message_decoder.decode(data)
