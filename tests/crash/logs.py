"""A log's bytes, read by the tests for themselves: nothing of storage is used but `parse`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise

import msgspec

from storage.append import LogHeader
from storage.record import Record, RecordError, halves, parse

Contents = Mapping[str, bytes]
"""The logs of a directory by path."""

_THREAD = re.compile(r"thread-[0-9a-f]{32}")


class Violation(AssertionError):
    """A promise was broken."""


class HalfCopied(Exception):
    """A copy has threads of an organisation that began while it was made, and not its catalogue.

    `check` names them and `check --repair` lays them aside: they might as well be what is left of
    an organisation whose catalogue was lost. Nothing in them was acknowledged before the copy.
    """


def thread_of(text: str | bytes) -> str | None:
    """Return the first thread's id in a path or an object."""
    found = _THREAD.search(text if isinstance(text, str) else text.decode(errors="replace"))
    return found.group() if found else None


def read_logs(contents: Contents) -> dict[str, list[Record]]:
    """Take every log apart; a file without a byte is none, and `check` says what it thinks of it.

    Raises:
        Violation: One of them is not as storage promises to leave it.
    """
    return {path: _records(path, data) for path, data in sorted(contents.items()) if data}


def first_line(records: list[Record]) -> LogHeader:
    """Return a log's header."""
    return msgspec.json.decode(records[0].data, type=LogHeader)


def live(records: list[Record]) -> dict[int, bytes]:
    """Return the newest version of each record that was not removed, by key, oldest first."""
    found: dict[int, bytes] = {}
    for record in records[1:]:
        thread = record.data[7:14] == b"thread-"
        key = int(record.data[14:30] if thread else record.data[23:31], 16)
        if record.kind in "mt" or (record.kind in "uv" and key in found):
            found[key] = record.data
        elif record.kind in "xy":
            found.pop(key, None)
    return found


def sealed_of(data: bytes) -> bytes:
    """Return what is sealed with an object of these histories: it follows from the object."""
    return sha256(data).digest() * 3 if b'"seals":1' in data else b""


def _records(path: str, data: bytes) -> list[Record]:
    if not data.endswith(b"\n"):
        raise Violation(f"{path}: the log of {len(data)} bytes ends in the middle of a line")
    records = []
    for line in data.splitlines(keepends=True):
        try:
            record = parse(line)
            records.append(record)
            if record.kind in "mutv" and halves(line)[1] != sealed_of(record.data):
                raise RecordError("what was sealed with it is gone or another's")
        except (RecordError, ValueError, IndexError) as error:
            raise Violation(f"{path}: {error}: {line[:80]!r}") from error
    kinds = [each.kind for each in records]
    if kinds[0] != "h" or "h" in kinds[1:]:
        raise Violation(f"{path}: the header is not where it belongs")
    numbers = [each.sequence for each in records[1:] if each.kind not in "ux"]
    compacted = first_line(records).generation > 1
    rising = all(one < other for one, other in pairwise(numbers))
    if numbers != list(range(1, len(numbers) + 1)):
        if compacted and rising and thread_of(path):
            return records
        raise Violation(f"{path}: the records are numbered {numbers}")
    return records
