"""The slow, careful way from a body's bytes to sound JSON, for bodies already refused.

The typed decoder is fast and says little, and what it says differs with the kind of damage. Here
each kind is found by name and place: bad UTF-8, a byte order mark, a cut end, NaN, lone surrogates,
too deep a nesting. Of a name given twice the last value counts, as in the typed decoder.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Raw

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import wording

_DEPTH_SHOWN: Final = 100
_BRACKETS_SEARCHED_MAX: Final = 100_000
# The param of a lone surrogate goes no deeper than any known field; deeper costs a pass each.
_PARAM_DEPTH_MAX: Final = 8

_skip: Final = msgspec.json.Decoder(Raw).decode

# Possessive, so that a hostile string costs one pass.
_STRING: Final = r'"(?:[^"\\]++|\\.)*+"'
_BRACKETS: Final = re.compile(_STRING + r"|[\[{]++|[\]}]++", re.DOTALL)
_CONSTANTS: Final = re.compile(_STRING + r"|-?Infinity|NaN", re.DOTALL)


class _NotANumber(Exception):
    """NaN, Infinity or -Infinity, which Python's decoder would take."""


def sound(body: bytes) -> bytes:
    """Return the same value as JSON that the decoder takes: mostly these very bytes.

    Raises:
        InvalidRequest: The body is no JSON text in valid UTF-8, or is nested too deeply.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        reason = f"{fault.reason} at byte {fault.start}, not valid UTF-8"
        raise wording.unreadable(reason) from None
    try:
        # A scan that builds nothing. It refuses lone surrogates too, but lets valid pairs pass.
        return bytes(_skip(body))
    except (msgspec.DecodeError, RecursionError):
        return _said_once(text)


def said_once(body: bytes) -> bytes:
    """Return the body with each name once, with its last value; numbers keep only their type.

    Raises:
        InvalidRequest: As for `sound`.
    """
    return _said_once(body.decode("utf-8"))


def _said_once(text: str) -> bytes:
    value = _decoded(text)
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as fault:
        raise wording.lone_surrogate(_param(value), fault.object, fault.start) from None
    except RecursionError:
        raise _too_deep(text) from None


def _decoded(text: str) -> object:
    if text.startswith("\ufeff"):
        raise wording.unreadable("byte order mark at character 0")
    try:
        # Only an integer's type matters, and int() refuses thousands of digits: len does neither.
        value: object = json.loads(
            text, parse_int=len, parse_float=_some_float, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as fault:
        reason = fault.msg.removesuffix(" at")  # "Unterminated string starting at"
        where = f"line {fault.lineno} column {fault.colno} (character {fault.pos})"
        raise wording.unreadable(f"{reason} at {where}") from None
    except _NotANumber as fault:
        raise wording.unreadable(f"{fault} at character {_constant_place(text)}") from None
    except RecursionError:
        raise _too_deep(text) from None
    return value


def _some_float(_: str) -> float:
    return 0.5  # What was sent may be too large for a float.


def _too_deep(text: str) -> InvalidRequest:
    reason = f"nested deeper than {_DEPTH_SHOWN} levels at {_deep_place(text)}"
    return wording.unreadable(reason)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the collector from walking a hostile body's millions of lists again and again.

    Measured on 8 MiB of `[],`: 1.6 s with the collector at work, 0.34 s without.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _refuse_constant(name: str) -> NoReturn:
    raise _NotANumber(name)


def _constant_place(text: str) -> int:
    return next(m.start() for m in _CONSTANTS.finditer(text) if m[0][0] != '"')


def _deep_place(text: str) -> str:
    depth = 0
    run = None
    for run in islice(_BRACKETS.finditer(text), _BRACKETS_SEARCHED_MAX):
        if run[0][0] in "[{":
            depth += len(run[0])
            if depth > _DEPTH_SHOWN:
                return f"character {run.end() - (depth - _DEPTH_SHOWN)}"
        elif run[0][0] in "]}":
            depth -= len(run[0])
    return f"some character after {run.end() if run else 0}"


def _param(value: object) -> str:
    """Return the param of the first string that holds a lone surrogate; there is one.

    Halving lets the encoder do the search: in Python, a look at each item would take seconds.
    """
    param = ""
    for _ in range(_PARAM_DEPTH_MAX):
        if isinstance(value, dict):
            name, value = _first_at_fault(list(value.items()))
            if not _is_sound(name):
                return param
            param = wording.quoted(f"{param}.{name}" if param else name)
        elif isinstance(value, list):
            places = list(range(len(value)))
            index = _first_at_fault(list(zip(places, value, strict=True)))[0]
            value = value[index]
            param = wording.quoted(f"{param}[{index}]")
        else:
            break
    return param


def _first_at_fault(items: list[tuple[Any, object]]) -> tuple[Any, object]:
    low, high = 0, len(items)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_sound(items[low:middle]):
            low = middle
        else:
            high = middle
    return items[low]


def _is_sound(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True
