"""The slow walk over a refused body: it finds the first fault and words it.

Each check here mirrors a Struct of `requests` and is exactly as strict; a property test holds the
two together. "First" is the first in the order sent, then the first required field that is missing.
What the contract ignores is taken out on the way, so that what is left fits the Struct.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ragen_actor.schema import limits, wording

Check = Callable[[object, str], None]
"""Takes a plain value and the param that names it; raises InvalidRequest or returns."""


def string(*, least: int = 0, most: int | None = None) -> Check:
    """Check a string's type and its length in characters; `least` is 0 or 1."""

    def check(value: object, param: str) -> None:
        if not isinstance(value, str):
            raise wording.wrong_type(param, "a string", value)
        if len(value) < least:
            raise wording.empty_string(param)
        if most is not None and len(value) > most:
            raise wording.long_string(param, most, len(value))

    return check


def choice(*values: str) -> Check:
    """Check that a value is one of a few strings."""

    def check(value: object, param: str) -> None:
        if not isinstance(value, str):
            expected = f"one of {wording.alternatives(values, 'or')}" if values[1:] else "a string"
            raise wording.wrong_type(param, expected, value)
        if value not in values:
            raise wording.wrong_value(param, value, values)

    return check


def nullable(inner: Check) -> Check:
    """Let null pass, as clients send it for an argument that is None."""

    def check(value: object, param: str) -> None:
        if value is not None:
            inner(value, param)

    return check


def array(inner: Check, of: str, *, least: int = 0, most: int | None = None) -> Check:
    """Check an array's length, then each of its items; `of` names them in the plural."""

    def check(value: object, param: str) -> None:
        if not isinstance(value, list):
            raise wording.wrong_type(param, f"an array of {of}", value)
        if len(value) < least:
            raise wording.empty_array(param)
        if most is not None and len(value) > most:
            raise wording.long_array(param, most, len(value))
        for index, item in enumerate(value):
            inner(item, f"{param}[{index}]")

    return check


def record(
    *,
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    ignored: tuple[str, ...] = (),
) -> Check:
    """Check an object of known fields; ignored ones are removed from it, whatever they hold."""
    required = required or {}
    known = {**required, **(optional or {})}

    def check(value: object, param: str) -> None:
        if not isinstance(value, dict):
            raise wording.wrong_type(param, "an object", value)
        for name in ignored:
            value.pop(name, None)
        for name, inner in value.items():
            if name not in known:
                raise wording.unknown(_join(param, wording.quoted(name)))
            known[name](inner, _join(param, name))
        for name in required:
            if name not in value:
                raise wording.missing(_join(param, name))

    return check


def pairs(value_check: Check, *, most: int | None) -> Check:
    """Check metadata: how many pairs, then each name and value."""

    def check(value: object, param: str) -> None:
        if not isinstance(value, dict):
            raise wording.wrong_type(param, "an object", value)
        if most is not None and len(value) > most:
            raise wording.many_properties(param, most, len(value))
        for name, inner in value.items():
            if len(name) > limits.METADATA_KEY_LENGTH_MAX:
                raise wording.long_name(param, name, limits.METADATA_KEY_LENGTH_MAX)
            value_check(inner, _join(param, wording.quoted(name)))

    return check


def _join(param: str, name: str) -> str:
    return f"{param}.{name}" if param else name


_IDENTIFIER: Final = string(least=1)
_TEXT: Final = string(least=1, most=limits.TEXT_LENGTH_MAX)
_TEXT_OBJECT: Final = record(required={"value": _TEXT}, ignored=("annotations",))
_DETAIL: Final = nullable(choice("auto", "low", "high"))


def _text(value: object, param: str) -> None:
    (_TEXT_OBJECT if isinstance(value, dict) else _TEXT)(value, param)


_PART_TYPES: Final[Mapping[str, Check]] = {
    "text": _text,
    "image_url": record(required={"url": _IDENTIFIER}, optional={"detail": _DETAIL}),
    "image_file": record(required={"file_id": _IDENTIFIER}, optional={"detail": _DETAIL}),
}
_PART_TYPE: Final = choice(*_PART_TYPES)
_PARTS: Final[Mapping[str, Check]] = {
    name: record(required={"type": _PART_TYPE, name: inner}) for name, inner in _PART_TYPES.items()
}


def _part(value: object, param: str) -> None:
    if not isinstance(value, dict):
        raise wording.wrong_type(param, "an object", value)
    if "type" not in value:
        raise wording.missing(_join(param, "type"))
    _PART_TYPE(value["type"], _join(param, "type"))
    _PARTS[value["type"]](value, param)


_CONTENT_PARTS: Final = array(_part, "objects", least=1)


def _content(value: object, param: str) -> None:
    if isinstance(value, str):
        _TEXT(value, param)
    elif isinstance(value, list):
        _CONTENT_PARTS(value, param)
    else:
        raise wording.wrong_type(param, "one of a string or array of objects", value)


_METADATA_VALUE: Final = string(most=limits.METADATA_VALUE_LENGTH_MAX)
_METADATA: Final = nullable(pairs(_METADATA_VALUE, most=limits.METADATA_PAIRS_MAX))
# A change may name more pairs than an object may hold, for example to remove them.
_METADATA_CHANGE: Final = nullable(pairs(nullable(_METADATA_VALUE), most=None))

_TOOL: Final = record(required={"type": choice("code_interpreter", "file_search")})
_ATTACHMENT: Final = record(
    required={"file_id": _IDENTIFIER}, optional={"tools": nullable(array(_TOOL, "objects"))}
)
_TITLE: Final = nullable(string(most=limits.TITLE_LENGTH_MAX))


def _ids(most: int) -> Check:
    return nullable(array(_IDENTIFIER, "strings", most=most))


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
    optional={"attachments": nullable(array(_ATTACHMENT, "objects")), "metadata": _METADATA},
    ignored=("file_ids",),
)
modify_message: Final = record(optional={"metadata": _METADATA_CHANGE}, ignored=("file_ids",))
create_thread: Final = record(
    optional={
        "messages": nullable(array(create_message, "objects")),
        "metadata": _METADATA,
        "tool_resources": _TOOL_RESOURCES,
        "title": _TITLE,
        "assistant_id": nullable(string(most=limits.ASSISTANT_ID_LENGTH_MAX)),
    },
    ignored=("file_ids",),
)
modify_thread: Final = record(
    optional={
        "metadata": _METADATA_CHANGE,
        "tool_resources": _TOOL_RESOURCES,
        "title": _TITLE,
    },
    ignored=("file_ids",),
)
