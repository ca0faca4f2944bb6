"""The file of API keys, `keys.jsonl`: what stands in it and what can still be read of it.

A line of kind `k` is a key, one of kind `z` revokes the key whose hash and sequence it repeats. The
lines are those of `storage.record`, and a key's sequence is the number of its line. Of a token only
the SHA-256 hash is kept: it is shown once, when it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Struct

from storage.record import DATA_AT, RecordError, parse, prefix

KEYS_FILE = "keys.jsonl"
"""The file's name in the data directory."""

KEY = "k"
REVOCATION = "z"

_LINE_START = b'{"c":"'
_FURTHER_LINES = re.compile(rb'(?<=.)(?=\{"c":")', re.DOTALL)
_HASH = re.compile(rb"[0-9a-f]{64}")
_REVOKES = re.compile(rb'"k":"z","s":"([0-9]{10})"')


class Key(Struct, frozen=True, omit_defaults=True):
    """An API key, but for its token.

    Attributes:
        hash: SHA-256 of the token, 64 hex digits; names the key wherever one name is needed.
        org: Organisation, 1 to 64 of A-Z a-z 0-9 _ and -.
        project: Project within it, in the same letters.
        tier: Its rate limit's name in the configuration.
        name: What a human calls it, at most 64 characters; may be empty.
        created_at: Unix seconds.
        hint: The token's first 8 and last 4 characters.
        revoked: Whether it opens nothing any more.
    """

    hash: str
    org: str
    project: str
    tier: str
    name: str
    created_at: int
    hint: str
    revoked: bool = False


class Revocation(Struct, frozen=True):
    """The end of a key.

    Attributes:
        hash: The key's.
        revoked_at: Unix seconds.
    """

    hash: str
    revoked_at: int


class DamagedLine(NamedTuple):
    """A line of the file that cannot be read.

    Attributes:
        offset: Bytes from the start of the file.
        reason: What is wrong with it.
    """

    offset: int
    reason: str


class KeyFile(NamedTuple):
    """What the file holds.

    Attributes:
        keys: Every key ever made, by hash, oldest first, the revoked ones too.
        sequences: Each key's place in the file, by hash.
        lines: Lines, the damaged ones too; the next key's sequence is one more.
        damaged: The lines that cannot be read.
        sound_bytes: Where a last line begins that a crash tore; the file's length if none.
        open_ended: Whether the last line is whole but for its newline.
    """

    keys: dict[str, Key]
    sequences: dict[str, int]
    lines: int
    damaged: tuple[DamagedLine, ...]
    sound_bytes: int
    open_ended: bool


def token_hash(token: str) -> str:
    """Return the name under which a token's key is kept."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(content: bytes) -> KeyFile:
    """Take the file's content apart, whatever has happened to it.

    A damaged line costs its own key alone. If it is what revoked a key, that key stays refused as
    long as the line still shows its hash or its sequence.
    """
    found: dict[str, Key] = {}
    sequences: dict[str, int] = {}
    revoked: set[str] = set()
    damaged: list[DamagedLine] = []
    unreadable: list[bytes] = []
    lines, sound_bytes, open_ended = 0, len(content), False
    for offset, line in _lines(content):
        ended = line.endswith(b"\n")
        try:
            if not line.startswith(_LINE_START):
                raise RecordError("this does not start like a line")
            kind, sequence, data = parse(line if ended else line + b"\n")
            if kind == KEY:
                key = msgspec.json.decode(data, type=Key)
                found[key.hash] = key
                sequences[key.hash] = sequence
            elif kind == REVOCATION:
                revoked.add(msgspec.json.decode(data, type=Revocation).hash)
            else:
                raise RecordError(f"a line of kind {kind} has no place among keys")
        except ValueError as error:  # RecordError, and what decoding raises.
            if offset + len(line) == len(content) and _is_torn(line):
                sound_bytes = offset
                break
            damaged.append(DamagedLine(offset, str(error)))
            unreadable.append(line)
        lines += 1
        open_ended = not ended
    revoked |= _named(unreadable, sequences)
    for key_hash in revoked & found.keys():
        found[key_hash] = msgspec.structs.replace(found[key_hash], revoked=True)
    return KeyFile(found, sequences, lines, tuple(damaged), sound_bytes, open_ended)


def _named(unreadable: list[bytes], sequences: dict[str, int]) -> set[str]:
    """Return the hash of every key that a damaged line may have revoked."""
    by_sequence = {sequence: key_hash for key_hash, sequence in sequences.items()}
    hashes = {found.decode() for line in unreadable for found in _HASH.findall(line)}
    for line in unreadable:
        hashes |= {by_sequence.get(int(found), "") for found in _REVOKES.findall(line)}
    return hashes


def _is_torn(line: bytes) -> bool:
    """Tell whether a last line is one that a crash cut short, rather than one damaged later."""
    if line.endswith(b"\n"):
        return False
    kind, sequence, data_bytes = prefix(line)
    is_readable = kind and sequence >= 0 and data_bytes >= 0
    return not is_readable or len(line) <= DATA_AT + data_bytes


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each line, newline included where there is one."""
    offset = 0
    for line in content.split(b"\n"):
        whole = line if offset + len(line) == len(content) else line + b"\n"
        # A damaged newline joins two lines: the second is known by how it starts.
        joined = whole.count(_LINE_START) > 1
        for piece in _FURTHER_LINES.split(whole) if joined else [whole]:
            if piece:
                yield offset, piece
            offset += len(piece)
