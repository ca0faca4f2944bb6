"""Identifiers: how ours are made, which place they name, and what may stand as a cursor.

A thread's id is `thread-` and 32 lowercase hexadecimal digits: 48 bits of Unix milliseconds, a
16-bit counter within the millisecond, 64 random bits. Its upper 64 bits order an organisation's
threads. A message's id is `msg-` and 32 digits: 48 bits of milliseconds, its 32-bit sequence in the
thread, 48 random bits. Both are opaque to clients, and the random bits make them unguessable.

Ids that other servers gave out (`thread_` or `msg_` and letters or digits) are well formed too, so
they may stand as a cursor; they name no place of ours.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal["thread", "message"]

# Classes are spelled out: `\d` and int() would also take other scripts, signs and underscores.
_NATIVE_THREAD: Final = re.compile(r"thread-[0-9a-f]{32}")
_NATIVE_MESSAGE: Final = re.compile(r"msg-[0-9a-f]{32}")
_WELL_FORMED: Final[dict[str, re.Pattern[str]]] = {
    "thread": re.compile(r"thread-[0-9a-f]{32}|thread_[A-Za-z0-9]{1,64}"),
    "message": re.compile(r"msg-[0-9a-f]{32}|msg_[A-Za-z0-9]{1,64}"),
}


def make_thread_id(ms: int, counter: int, random: int) -> str:
    """Return a thread's id.

    Args:
        ms: Unix time in milliseconds, 48 bits.
        counter: Tells threads of one millisecond apart, 16 bits.
        random: 64 random bits.
    """
    assert 0 <= ms < 1 << 48 and 0 <= counter < 1 << 16 and 0 <= random < 1 << 64
    return f"thread-{ms:012x}{counter:04x}{random:016x}"


def thread_key(thread_id: str) -> int | None:
    """Return the 64 bits that order threads, `ms << 16 | counter`, or None for any other text."""
    if _NATIVE_THREAD.fullmatch(thread_id) is None:
        return None
    return int(thread_id[7:23], 16)


def make_message_id(ms: int, sequence: int, random: int) -> str:
    """Return a message's id.

    Args:
        ms: Unix time in milliseconds, 48 bits.
        sequence: The message's place in its thread, 32 bits.
        random: 48 random bits.
    """
    assert 0 <= ms < 1 << 48 and 0 <= sequence < 1 << 32 and 0 <= random < 1 << 48
    return f"msg-{ms:012x}{sequence:08x}{random:012x}"


def message_sequence(message_id: str) -> int | None:
    """Return the message's place in its thread, or None for any other text."""
    if _NATIVE_MESSAGE.fullmatch(message_id) is None:
        return None
    return int(message_id[16:24], 16)


def is_well_formed(kind: Kind, text: str) -> bool:
    """Say whether `text` could be the id of such an object, ours or another server's."""
    return _WELL_FORMED[kind].fullmatch(text) is not None
