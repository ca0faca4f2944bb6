"""Which record a damaged line was about: by its checksum, its object's id, its `s` or its place.

A checksum cannot say what was hit, but it proves a guess: a line that is sound once it is given
another key, or another kind, had that one. What no guess explains is told by what the line still
says, and by where it stands, as records are added in the order of their keys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from contextlib import suppress

from storage.record import (
    ADDS,
    DATA_AT,
    KIND_AT,
    REPLACES,
    SEQUENCE,
    RecordError,
    parse,
)
from storage.record_log import RecordLog
from storage.scan import Line

LINE_BYTES_MIN = 100
"""No message is shorter: so many at most stood in a stretch that tells nothing any more."""

_KEY_DIGITS = 16
_KEY = slice(DATA_AT + 14, DATA_AT + 14 + _KEY_DIGITS)
"""Where a catalogue's line has the hex digits of its thread's key."""
_NUMBER = slice(DATA_AT + 23, DATA_AT + 31)
"""Where a thread's line has the hex digits of its message's sequence, besides `s`."""


def keys_about(
    log: RecordLog,
    line: Line,
    newest: int,
    is_live: Callable[[int], bool],
    strays: Callable[[], Collection[int]] = list,
    highest: int = sys.maxsize,
) -> set[int]:
    """Every key that a damaged line may be about.

    Args:
        log: Whose line it is.
        line: As it stands.
        newest: The last key that was added before it.
        is_live: Tells whether a key was added before it and is not removed.
        strays: In a catalogue, keys of threads that have a file and no sound line.
        highest: In a thread, the last sequence that may have been given out by then.
    """
    named: set[int] = set()
    with suppress(ValueError):
        named.add(log.key_of_id(line.payload))
    if log.BY_SEQUENCE:
        return _message(log, line, newest, named, highest)
    return _thread(log, line, newest, named, is_live, strays)


def with_its_kind(log: RecordLog, line: Line) -> Line:
    """Give a line of a catalogue its kind back, if that is proved to be all that was hit.

    The kinds of a new thread and of its versions differ in one bit.
    """
    if log.BY_SEQUENCE or line.kind not in REPLACES:
        return line
    data = line.data
    entry = data[:KIND_AT] + log.ADD.encode() + data[KIND_AT + 1 :]
    return line._replace(kind=log.ADD) if _is_sound(entry) else line


def _message(log: RecordLog, line: Line, newest: int, named: set[int], highest: int) -> set[int]:
    """A message's number stands in its line twice."""
    said = {line.sequence} if line.sequence > 0 else set()
    if named and named == said:
        return named
    found = named | said
    proved = {key for key in found if _is_sound(_as_if_about(log, line.data, key))}
    if proved:
        return proved
    lowest = newest if line.kind in ADDS else 0
    found = {key for key in found if lowest < key <= highest}
    if len(found) != 1 and (line.kind in ADDS or not line.kind):
        return found | {newest + 1}
    return found


def _thread(
    log: RecordLog,
    line: Line,
    newest: int,
    named: set[int],
    is_live: Callable[[int], bool],
    strays: Callable[[], Collection[int]],
) -> set[int]:
    """A thread's key stands in its line once; but it has a file, whose name says it too."""
    near = _one_digit_off(line, is_live) if line.kind not in ADDS else set()
    lost = set(strays()) if line.kind in ADDS or not line.kind else set()
    for key in near | lost:
        if key not in named and _is_sound(_as_if_about(log, line.data, key)):
            return {key}
    if any(map(is_live, named)) or named & lost:
        return named
    if line.kind in ADDS or not line.kind:
        return {key for key in lost if key > newest} or {newest + 1}
    return near if len(near) == 1 else set()


def _as_if_about(log: RecordLog, data: bytes, key: int) -> bytes:
    """Return a line as it would stand if all that was hit in it were its key."""
    if log.BY_SEQUENCE:
        before, between, behind = (
            data[: SEQUENCE.start],
            data[SEQUENCE.stop : _NUMBER.start],
            data[_NUMBER.stop :],
        )
        return b"%b%010d%b%08x%b" % (before, key, between, key, behind)
    return b"%b%016x%b" % (data[: _KEY.start], key, data[_KEY.stop :])


def _is_sound(data: bytes) -> bool:
    try:
        parse(data)
    except RecordError:
        return False
    return True


def _one_digit_off(line: Line, is_live: Callable[[int], bool]) -> set[int]:
    """Return the live threads that differ in one hex digit from what a line says."""
    found: set[int] = set()
    digits = line.data[_KEY]
    if not line.payload.startswith(b'{"id":"thread-') or len(digits) < _KEY_DIGITS:
        return found
    for place in range(_KEY_DIGITS):
        with suppress(ValueError):
            rest = int(digits[:place] + b"0" + digits[place + 1 :], 16)
            step = 1 << 4 * (_KEY_DIGITS - 1 - place)
            found |= {key for key in range(rest, rest + 16 * step, step) if is_live(key)}
    return found
