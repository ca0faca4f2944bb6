"""What clients may send, as typed Structs: the fast decoder's half of every rule.

`faults` holds the other half, the words. Both must be exactly as strict: change them together.
An optional field may be null, as clients send it for an argument that is None.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ragen_actor.schema import limits, objects

Identifier = Annotated[str, Meta(min_length=1, max_length=limits.IDENTIFIER_LENGTH_MAX)]
_Url = Annotated[str, Meta(min_length=1, max_length=limits.URL_LENGTH_MAX)]
_TextIn = Annotated[str, Meta(min_length=1, max_length=limits.TEXT_LENGTH_MAX)]
_Title = Annotated[str, Meta(max_length=limits.TITLE_LENGTH_MAX)]
_AssistantId = Annotated[str, Meta(max_length=limits.ASSISTANT_ID_LENGTH_MAX)]
_Key = Annotated[str, Meta(max_length=limits.METADATA_KEY_LENGTH_MAX)]
_Value = Annotated[str, Meta(max_length=limits.METADATA_VALUE_LENGTH_MAX)]
_Metadata = Annotated[dict[_Key, _Value], Meta(max_length=limits.METADATA_PAIRS_MAX)]
_MetadataChange = Annotated[
    dict[_Key, _Value | None], Meta(max_length=limits.METADATA_CHANGE_PAIRS_MAX)
]
# Old clients send these, and any value is ignored: it is skipped over, and nothing is built of it.
_Ignored = Raw | UnsetType


class In(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Something a client sent."""


class TextObjectIn(In, frozen=True):
    """A text in the shape that goes out, as clients send back what they read."""

    value: _TextIn
    annotations: _Ignored = UNSET


class TextPartIn(In, tag_field="type", tag="text", frozen=True):
    """One text of a message."""

    text: _TextIn | TextObjectIn


class ImageUrlIn(In, frozen=True):
    """An image by its address."""

    url: _Url
    detail: objects.Detail | None = None


class ImageUrlPartIn(In, tag_field="type", tag="image_url", frozen=True):
    """One image of a message, by its address."""

    image_url: ImageUrlIn


class ImageFileIn(In, frozen=True):
    """An image by its file."""

    file_id: Identifier
    detail: objects.Detail | None = None


class ImageFilePartIn(In, tag_field="type", tag="image_file", frozen=True):
    """One image of a message, by its file."""

    image_file: ImageFileIn


PartIn = TextPartIn | ImageUrlPartIn | ImageFilePartIn


class ToolIn(In, frozen=True):
    """A tool that an attached file is meant for."""

    type: Literal["code_interpreter", "file_search"]


class AttachmentIn(In, frozen=True):
    """A file attached to a message."""

    file_id: Identifier
    tools: Annotated[list[ToolIn], Meta(max_length=limits.ATTACHMENT_TOOLS_MAX)] | None = None


class MessageIn(In, frozen=True):
    """POST /v1/threads/{thread_id}/messages, and each message of a thread's create."""

    role: objects.Role
    content: (
        _TextIn | Annotated[list[PartIn], Meta(min_length=1, max_length=limits.CONTENT_PARTS_MAX)]
    )
    attachments: Annotated[list[AttachmentIn], Meta(max_length=limits.ATTACHMENTS_MAX)] | None = (
        None
    )
    metadata: _Metadata | None = None
    file_ids: _Ignored = UNSET


class CodeInterpreterIn(In, frozen=True):
    """The files of a thread's code interpreter."""

    file_ids: (
        Annotated[tuple[Identifier, ...], Meta(max_length=limits.CODE_INTERPRETER_FILES_MAX)] | None
    ) = None


class FileSearchIn(In, frozen=True):
    """A thread's vector store; `vector_stores`, which would make one, is ignored."""

    vector_store_ids: (
        Annotated[tuple[Identifier, ...], Meta(max_length=limits.VECTOR_STORES_MAX)] | None
    ) = None
    vector_stores: _Ignored = UNSET


class ToolResourcesIn(In, frozen=True):
    """What a thread's tools may use."""

    code_interpreter: CodeInterpreterIn | None = None
    file_search: FileSearchIn | None = None


class ThreadIn(In, frozen=True):
    """POST /v1/threads."""

    messages: list[MessageIn] | None = None
    metadata: _Metadata | None = None
    tool_resources: ToolResourcesIn | None = None
    title: _Title | None = None
    assistant_id: _AssistantId | None = None
    file_ids: _Ignored = UNSET


class ThreadChangeIn(In, frozen=True):
    """POST or PATCH /v1/threads/{thread_id}."""

    title: _Title | UnsetType | None = UNSET
    metadata: _MetadataChange | UnsetType | None = UNSET
    tool_resources: ToolResourcesIn | UnsetType | None = UNSET
    file_ids: _Ignored = UNSET


class MessageChangeIn(In, frozen=True):
    """POST /v1/threads/{thread_id}/messages/{message_id}."""

    metadata: _MetadataChange | UnsetType | None = UNSET
    file_ids: _Ignored = UNSET
