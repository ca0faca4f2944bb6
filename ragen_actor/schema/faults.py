"""The slow walk over a refused body: it finds the first fault and words it.

Each check here mirrors a Struct of `shapes` and is exactly as strict; a property test holds the
two together. "First" is the first in the order sent, then the first required field that is missing,
and last of all an array that is too long. The walk opens the JSON text as it goes: whatever is
ignored or lies behind the fault is skipped over, so a hostile body costs little more than a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import limits, shapes, wording

Check = Callable[[Raw, str], None]
"""Takes a value's sound JSON text and the param that names it; raises InvalidRequest or returns."""


class NameRepeated(Exception):
    """An item without a fault that the decoder refuses: walk again with each name said once."""


_decode_string: Final = msgspec.json.Decoder(str).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode


def _wrong_type(param: str, expected: str, raw: Raw) -> InvalidRequest:
    return wording.wrong_type(param, expected, _sample(raw))


def _sample(raw: Raw) -> object:
    """Return some value of the text's own type."""
    match bytes(memoryview(raw)[:1]):
        case b'"':
            return ""
        case b"{":
            return {}
        case b"[":
            return []
        case b"t" | b"f":
            return True
        case b"n":
            return None
    return 0.5 if any(mark in bytes(raw) for mark in (b".", b"e", b"E")) else 0


def _is(raw: Raw, first: str) -> bool:
    return memoryview(raw)[0] == ord(first)


def _object(raw: Raw, param: str) -> dict[str, Raw]:
    if not _is(raw, "{"):
        raise _wrong_type(param, "an object", raw)
    return _decode_object(raw)


def string(*, least: int = 0, most: int | None = None) -> Check:
    """Check a string's type and its length in characters; `least` is 0 or 1."""

    def check(raw: Raw, param: str) -> None:
        if not _is(raw, '"'):
            raise _wrong_type(param, "a string", raw)
        value = _decode_string(raw)
        if len(value) < least:
            raise wording.empty_string(param)
        if most is not None and len(value) > most:
            raise wording.long_string(param, most, len(value))

    return check


def choice(*values: str) -> Check:
    """Check that a value is one of a few strings."""

    def check(raw: Raw, param: str) -> None:
        if not _is(raw, '"'):
            expected = f"one of {wording.alternatives(values, 'or')}" if values[1:] else "a string"
            raise _wrong_type(param, expected, raw)
        value = _decode_string(raw)
        if value not in values:
            raise wording.wrong_value(param, value, values)

    return check


def nullable(inner: Check) -> Check:
    """Let null pass, as clients send it for an argument that is None."""

    def check(raw: Raw, param: str) -> None:
        if not _is(raw, "n"):
            inner(raw, param)

    return check


def array(inner: Check, shape: Any, of: str, *, least: int = 0, most: int) -> Check:
    """Check each of an array's first `most` items, then its length; `of` names them in the plural.

    Items that fit the shape, which `inner` mirrors, pass at the decoder's speed. What is beyond
    `most` is counted, and that only where it decides.
    """
    head = _head_decoder(most + 1)
    fits = msgspec.json.Decoder(shape).decode

    def check(raw: Raw, param: str) -> None:
        if not _is(raw, "["):
            raise _wrong_type(param, f"an array of {of}", raw)
        items = head(raw)
        if len(items) < least:
            raise wording.empty_array(param)
        for index, item in enumerate(items[:most]):
            try:
                fits(item)
            except msgspec.ValidationError:
                inner(item, f"{param}[{index}]")
                raise NameRepeated from None
        if len(items) > most:
            raise wording.long_array(param, most, len(_decode_array(raw)))

    return check


def record(
    *,
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    ignored: tuple[str, ...] = (),
) -> Check:
    """Check an object of known fields; ignored ones may hold whatever they like."""
    required = required or {}
    known = {**required, **(optional or {}), **dict.fromkeys(ignored, _whatever)}

    def check(raw: Raw, param: str) -> None:
        value = _object(raw, param)
        for name, inner in value.items():
            if name not in known:
                raise wording.unknown(_join(param, wording.quoted(name)))
            known[name](inner, _join(param, name))
        for name in required:
            if name not in value:
                raise wording.missing(_join(param, name))

    return check


def _whatever(_: Raw, __: str) -> None:
    pass


def _head_decoder(length: int) -> Callable[[Raw], list[Raw]]:
    """Return a decoder of an array's first items; those beyond are skipped and cost no object."""
    fields = [(f"item_{index}", Raw | UnsetType, UNSET) for index in range(length)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Head", fields, array_like=True)).decode

    def head(raw: Raw) -> list[Raw]:
        return [item for item in msgspec.structs.astuple(decode(raw)) if item is not UNSET]

    return head


def pairs(value_check: Check, *, most: int) -> Check:
    """Check metadata: how many pairs, then each name and value."""

    def check(raw: Raw, param: str) -> None:
        value = _object(raw, param)
        if len(value) > most:
            raise wording.many_properties(param, most, len(value))
        for name, inner in value.items():
            if len(name) > limits.METADATA_KEY_LENGTH_MAX:
                raise wording.long_name(param, name, limits.METADATA_KEY_LENGTH_MAX)
            value_check(inner, _join(param, wording.quoted(name)))

    return check


def _join(param: str, name: str) -> str:
    return f"{param}.{name}" if param else name


_IDENTIFIER: Final = string(least=1, most=limits.IDENTIFIER_LENGTH_MAX)
_URL: Final = string(least=1, most=limits.URL_LENGTH_MAX)
_TEXT: Final = string(least=1, most=limits.TEXT_LENGTH_MAX)
_TEXT_OBJECT: Final = record(required={"value": _TEXT}, ignored=("annotations",))
_DETAIL: Final = nullable(choice("auto", "low", "high"))


def _text(raw: Raw, param: str) -> None:
    (_TEXT_OBJECT if _is(raw, "{") else _TEXT)(raw, param)


_PART_TYPES: Final[Mapping[str, Check]] = {
    "text": _text,
    "image_url": record(required={"url": _URL}, optional={"detail": _DETAIL}),
    "image_file": record(required={"file_id": _IDENTIFIER}, optional={"detail": _DETAIL}),
}
_PART_TYPE: Final = choice(*_PART_TYPES)
_PARTS: Final[Mapping[str, Check]] = {
    name: record(required={"type": _PART_TYPE, name: inner}) for name, inner in _PART_TYPES.items()
}


def _part(raw: Raw, param: str) -> None:
    value = _object(raw, param)
    if "type" not in value:
        raise wording.missing(_join(param, "type"))
    _PART_TYPE(value["type"], _join(param, "type"))
    _PARTS[_decode_string(value["type"])](raw, param)


_CONTENT_PARTS: Final = array(
    _part, shapes.PartIn, "objects", least=1, most=limits.CONTENT_PARTS_MAX
)


def _content(raw: Raw, param: str) -> None:
    if _is(raw, '"'):
        _TEXT(raw, param)
    elif _is(raw, "["):
        _CONTENT_PARTS(raw, param)
    else:
        raise _wrong_type(param, "one of a string or array of objects", raw)


_METADATA_VALUE: Final = string(most=limits.METADATA_VALUE_LENGTH_MAX)
_METADATA: Final = nullable(pairs(_METADATA_VALUE, most=limits.METADATA_PAIRS_MAX))
# A change may name more pairs than an object may hold, for example to remove them.
_METADATA_CHANGE: Final = nullable(
    pairs(nullable(_METADATA_VALUE), most=limits.METADATA_CHANGE_PAIRS_MAX)
)

_TOOL: Final = record(required={"type": choice("code_interpreter", "file_search")})
_ATTACHMENT: Final = record(
    required={"file_id": _IDENTIFIER},
    optional={
        "tools": nullable(array(_TOOL, shapes.ToolIn, "objects", most=limits.ATTACHMENT_TOOLS_MAX))
    },
)
_TITLE: Final = nullable(string(most=limits.TITLE_LENGTH_MAX))


def _ids(most: int) -> Check:
    return nullable(array(_IDENTIFIER, shapes.Identifier, "strings", most=most))


_TOOL_RESOURCES: Final = nullable(
    record(
        optional={
            "code_interpreter": nullable(
                record(optional={"file_ids": _ids(limits.CODE_INTERPRETER_FILES_MAX)})
            ),
            "file_search": nullable(
                record(
                    optional={"vector_store_ids": _ids(limits.VECTOR_STORES_MAX)},
                    ignored=("vector_stores",),
                )
            ),
        }
    )
)

create_message: Final = record(
    required={"role": choice("user", "assistant"), "content": _content},
    optional={
        "attachments": nullable(
            array(_ATTACHMENT, shapes.AttachmentIn, "objects", most=limits.ATTACHMENTS_MAX)
        ),
        "metadata": _METADATA,
    },
    ignored=("file_ids",),
)
modify_message: Final = record(optional={"metadata": _METADATA_CHANGE}, ignored=("file_ids",))
modify_thread: Final = record(
    optional={
        "metadata": _METADATA_CHANGE,
        "tool_resources": _TOOL_RESOURCES,
        "title": _TITLE,
    },
    ignored=("file_ids",),
)


def create_thread(messages_max: int) -> Check:
    """Return the check of a thread's create, which may hold so many messages."""
    messages = array(create_message, shapes.MessageIn, "objects", most=messages_max)
    return record(
        optional={
            "messages": nullable(messages),
            "metadata": _METADATA,
            "tool_resources": _TOOL_RESOURCES,
            "title": _TITLE,
            "assistant_id": nullable(string(most=limits.ASSISTANT_ID_LENGTH_MAX)),
        },
        ignored=("file_ids",),
    )
