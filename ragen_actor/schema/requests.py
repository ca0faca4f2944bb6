"""Requests: from a body's bytes to a Struct once, at the door, or an error that names the field.

The fast way is one typed decoder for each request. Whatever it refuses is made sound by
`body_text`, and `faults` walks it to find and word the first fault. Should the walk find none (a
name given twice, of which the last value counts), the request is good after all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import body_text, faults, objects, shapes, wording


class NewMessage(Struct, frozen=True, gc=False):
    """A message to be stored; its parts are in the shape that goes out."""

    role: objects.Role
    content: tuple[objects.Part, ...]
    attachments: tuple[objects.Attachment, ...] = ()
    metadata: dict[str, str] = {}


class CreateThread(Struct, frozen=True, gc=False):
    """A thread to be stored; without `assistant_id` it is bound to the key's project."""

    messages: tuple[NewMessage, ...] = ()
    metadata: dict[str, str] = {}
    tool_resources: objects.ToolResources = objects.ToolResources()
    title: str | None = None
    assistant_id: str | None = None


class ModifyThread(Struct, frozen=True, gc=False):
    """A thread's change: what is UNSET stays; null metadata clears; None removes the title."""

    title: str | UnsetType | None = UNSET
    metadata: dict[str, str | None] | UnsetType | None = UNSET
    tool_resources: objects.ToolResources | UnsetType = UNSET


class ModifyMessage(Struct, frozen=True, gc=False):
    """A message's change: what is UNSET stays; null metadata clears. Content never changes."""

    metadata: dict[str, str | None] | UnsetType | None = UNSET


_T = TypeVar("_T", bound=shapes.In)
UNWORDED: Final = "The body of your request is not valid."


class _Door(Generic[_T]):
    """Both ways in for one kind of request: the fast one, and the walk that must agree with it."""

    def __init__(self, shape: type[_T], walk: faults.Check) -> None:
        self._decode = msgspec.json.Decoder(shape).decode
        self._walk = walk

    def fast(self, body: bytes) -> _T:
        """Return the request, or raise whatever the decoder raises."""
        if not body.isascii():
            body.decode()  # As the decoder does not look into what is ignored.
        return self._decode(body)

    def read(self, body: bytes) -> _T:
        """Return the request, or raise InvalidRequest; an empty body equals `{}`."""
        try:
            return self.fast(body or b"{}")
        except (msgspec.DecodeError, ValueError, RecursionError):
            # ValueError is what invalid UTF-8 raises, and RecursionError what nesting does.
            return self.slow(body or b"{}")

    def slow(self, body: bytes) -> _T:
        """Do what `read` does, the slow way: the first fault is worded."""
        with body_text.collector_at_rest():
            try:
                try:
                    self._walk(Raw(body_text.sound(body)), "")
                except faults.NameRepeated:
                    self._walk(Raw(body_text.said_once(body)), "")
                return self._decode(body_text.said_once(body))
            except (faults.NameRepeated, msgspec.DecodeError, RecursionError):
                raise InvalidRequest(UNWORDED) from None
            except InvalidRequest as fault:
                # The frames hold all that was built of the body: let go while the collector rests.
                raise fault.with_traceback(None) from None


@lru_cache(maxsize=4)
def _create_thread(messages_max: int) -> _Door[shapes.ThreadIn]:
    return _Door(shapes.ThreadIn, faults.create_thread(messages_max))


_modify_thread: Final = _Door(shapes.ThreadChangeIn, faults.modify_thread)
_create_message: Final = _Door(shapes.MessageIn, faults.create_message)
_modify_message: Final = _Door(shapes.MessageChangeIn, faults.modify_message)


def parse_create_message(body: bytes) -> NewMessage:
    """Return the message to store.

    Raises:
        InvalidRequest: Something in the body is at fault, and named as param.

    Source: OpenAI openapi.json, createMessage.
    """
    return _new_message(_create_message.read(body))


def parse_modify_message(body: bytes) -> ModifyMessage:
    """Return the message's change; an empty body changes nothing.

    Raises:
        InvalidRequest: Something in the body is at fault, and named as param.

    Source: OpenAI openapi.json, modifyMessage.
    """
    return _message_change(_modify_message.read(body))


def parse_create_thread(body: bytes, *, messages_max: int) -> CreateThread:
    """Return the thread to store; an empty body equals `{}`, as the .NET client sends none.

    Args:
        body: The request's body.
        messages_max: How many messages it may hold.

    Raises:
        InvalidRequest: Something in the body is at fault, and named as param.

    Source: OpenAI openapi.json, createThread.
    """
    request = _create_thread(messages_max).read(body)
    if request.messages and len(request.messages) > messages_max:
        raise wording.long_array("messages", messages_max, len(request.messages))
    return _new_thread(request)


def parse_modify_thread(body: bytes) -> ModifyThread:
    """Return the thread's change; an empty body changes nothing.

    Raises:
        InvalidRequest: Something in the body is at fault, and named as param; `assistant_id` is
            an unknown parameter here, as a thread stays bound to its assistant.

    Source: OpenAI openapi.json, modifyThread.
    """
    return _thread_change(_modify_thread.read(body))


def _new_thread(request: shapes.ThreadIn) -> CreateThread:
    return CreateThread(
        tuple([_new_message(message) for message in request.messages or ()]),
        request.metadata or {},
        _tool_resources(request.tool_resources),
        request.title,
        request.assistant_id,
    )


def _thread_change(request: shapes.ThreadChangeIn) -> ModifyThread:
    resources = request.tool_resources
    return ModifyThread(
        request.title,
        request.metadata,
        UNSET if resources is UNSET else _tool_resources(resources),
    )


def _message_change(request: shapes.MessageChangeIn) -> ModifyMessage:
    return ModifyMessage(request.metadata)


def _new_message(request: shapes.MessageIn) -> NewMessage:
    content = request.content
    return NewMessage(
        request.role,
        (objects.TextPart(objects.Text(content)),)
        if isinstance(content, str)
        else tuple([_part(part) for part in content]),
        tuple([_attachment(sent) for sent in request.attachments]) if request.attachments else (),
        request.metadata or {},
    )


def _part(part: shapes.PartIn) -> objects.Part:
    if isinstance(part, shapes.TextPartIn):
        text = part.text
        return objects.TextPart(objects.Text(text if isinstance(text, str) else text.value))
    if isinstance(part, shapes.ImageUrlPartIn):
        url = part.image_url
        return objects.ImageUrlPart(objects.ImageUrl(url.url, url.detail or "auto"))
    file = part.image_file
    return objects.ImageFilePart(objects.ImageFile(file.file_id, file.detail or "auto"))


def _attachment(sent: shapes.AttachmentIn) -> objects.Attachment:
    if sent.tools is None:
        return objects.Attachment(sent.file_id)
    tools = tuple([objects.AttachmentTool(tool.type) for tool in sent.tools])
    return objects.Attachment(sent.file_id, tools)


def _tool_resources(sent: shapes.ToolResourcesIn | None) -> objects.ToolResources:
    if sent is None:
        return objects.ToolResources()
    interpreter, search = sent.code_interpreter, sent.file_search
    return objects.ToolResources(
        UNSET
        if interpreter is None
        else objects.CodeInterpreterResources(_sent(interpreter.file_ids)),
        UNSET if search is None else objects.FileSearchResources(_sent(search.vector_store_ids)),
    )


def _sent(ids: tuple[str, ...] | None) -> tuple[str, ...] | UnsetType:
    return UNSET if ids is None else ids
