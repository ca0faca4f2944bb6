"""The text of every 400, in OpenAI's own words, each with its param and its code.

Client code matches on these texts and codes, so a word here is part of the interface.
Source: OpenAI's answers as recorded by its clients' users; texts marked ours have no model there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ragen_actor.errors import InvalidRequest

QUOTE_LENGTH_MAX: Final = 256
"""Characters of the client's own text that an error repeats."""

_TYPE_WORDS: Final[dict[type, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    dict: "an object",
    list: "an array",
    type(None): "null",
}


def quoted(text: str) -> str:
    """Return `text` fit for one line of an error: cut, and free of what no line can show.

    Lone surrogates could not even be encoded into the answer, so they are spelled out too.
    """
    shown = text[: QUOTE_LENGTH_MAX + 1]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
    return shown if len(shown) <= QUOTE_LENGTH_MAX else shown[:QUOTE_LENGTH_MAX] + "…"


def alternatives(values: Sequence[str], last: str) -> str:
    """Return `'a'`, `'a' and 'b'` or `'a', 'b', and 'c'`; `last` is the word before the last."""
    names = [f"'{value}'" for value in values]
    if len(names) < 3:
        return f" {last} ".join(names)
    return f"{', '.join(names[:-1])}, {last} {names[-1]}"


def wrong_type(param: str, expected: str, got: object) -> InvalidRequest:
    """Word a value of another type; `expected` carries its article, and `param` "" is the body."""
    what = f"'{param}'" if param else "the request body"
    word = _TYPE_WORDS[type(got)]
    return InvalidRequest(
        f"Invalid type for {what}: expected {expected}, but got {word} instead.",
        param=param or None,
        code="invalid_type",
    )


def wrong_value(param: str, value: str, supported: Sequence[str]) -> InvalidRequest:
    """Word a string that is none of the few that are known here."""
    return InvalidRequest(
        f"Invalid value: '{quoted(value)}'. "
        f"Supported values are: {alternatives(supported, 'and')}.",
        param=param,
        code="invalid_value",
    )


def missing(param: str) -> InvalidRequest:
    """Word a required field that was not sent."""
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def unknown(param: str) -> InvalidRequest:
    """Word a field that is not known here."""
    return InvalidRequest(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def long_string(param: str, most: int, length: int) -> InvalidRequest:
    """Word a string of `length` characters where `most` are allowed."""
    return InvalidRequest(
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {length} instead.",
        param=param,
        code="string_above_max_length",
    )


def empty_string(param: str) -> InvalidRequest:
    """Word an empty string where there must be a character."""
    return InvalidRequest(
        f"Invalid '{param}': empty string. Expected a string with minimum length 1, "
        "but got an empty string instead.",
        param=param,
        code="empty_string",
    )


def long_array(param: str, most: int, length: int) -> InvalidRequest:
    """Word an array of `length` items where `most` are allowed."""
    return InvalidRequest(
        f"Invalid '{param}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {length} instead.",
        param=param,
        code="array_above_max_length",
    )


def empty_array(param: str) -> InvalidRequest:
    """Word an empty array where there must be an item."""
    return InvalidRequest(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def many_properties(param: str, most: int, count: int) -> InvalidRequest:
    """Word an object of `count` pairs where `most` are allowed."""
    return InvalidRequest(
        f"Invalid '{param}': too many properties. Expected an object with at most {most} "
        f"properties, but got an object with {count} properties instead.",
        param=param,
        code="object_above_max_properties",
    )


def long_name(param: str, name: str, most: int) -> InvalidRequest:
    """Word the name of a pair that is longer than `most` characters."""
    return InvalidRequest(
        f"Invalid property name in '{param}': '{quoted(name)}' is too long. Expected a string "
        f"with maximum length {most}, but got a string with length {len(name)} instead.",
        param=f"{param}.{quoted(name)}",
        code="property_name_above_max_length",
    )


def high_integer(param: str, most: int, got: str) -> InvalidRequest:
    """Word an integer above its bound; `got` is its digits."""
    return InvalidRequest(
        f"Invalid '{param}': integer above maximum value. Expected a value <= {most}, "
        f"but got {quoted(got)} instead.",
        param=param,
        code="integer_above_max_value",
    )


def low_integer(param: str, least: int, got: str) -> InvalidRequest:
    """Word an integer below its bound; `got` is its digits."""
    return InvalidRequest(
        f"Invalid '{param}': integer below minimum value. Expected a value >= {least}, "
        f"but got {quoted(got)} instead.",
        param=param,
        code="integer_below_min_value",
    )


def wrong_cursor(param: str, prefix: str, got: str) -> InvalidRequest:
    """Word a cursor that could be no object's id."""
    return InvalidRequest(
        f"Invalid '{param}': '{quoted(got)}'. Expected an ID that begins with '{prefix}', "
        "as this server gives them out.",
        param=param,
        code="invalid_value",
    )


def exclusive(param: str, other: str) -> InvalidRequest:
    """Word two parameters of which only one may be sent; `param` is the one to blame."""
    return InvalidRequest(
        "Mutually exclusive parameters. Ensure you are only providing one of: "
        f"'{other}' or '{param}'.",
        param=param,
        code="mutually_exclusive_parameters",
    )


def encrypted_thread(thread_id: str) -> InvalidRequest:
    """Word a message for a thread in which it would be the only one to lie in plain text (ours)."""
    return InvalidRequest(
        f"Thread '{thread_id}' is encrypted. Messages can be added to it in the dashboard only.",
        code="encrypted_thread",
    )


def lone_surrogate(param: str, value: str, index: int) -> InvalidRequest:
    """Word half of a surrogate pair, at `index` of a string (ours)."""
    what = f"Invalid '{param}'" if param else "Invalid request body"
    return InvalidRequest(
        f"{what}: lone surrogate U+{ord(value[index]):04X} at character {index} of the string. "
        "Expected valid Unicode text.",
        param=param or None,
        code="invalid_value",
    )


def unreadable(reason: str) -> InvalidRequest:
    """Word a body that is no JSON text at all; `reason` says what is wrong with it and where."""
    return InvalidRequest(f"We could not parse the JSON body of your request: {reason}.")
