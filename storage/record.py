"""THE FORMAT: one line of a log, and back.

Every fact that storage keeps is one line of JSON in an append-only file, which any tool can read:

    {"c":"5f1c9c1a","v":1,"k":"m","s":"0000000007","n":"00000213","d":{"id":"msg-..."}}

    c   CRC-32 of everything that follows these eight hex digits, the newline included
    v   the shape of d
    k   the kind: h header
                  m message    u new version of a message    x tombstone of a message
                  t thread     v new version of a thread     y tombstone of a thread
                  k API key                                  z revocation of a key
    s   ten digits: a message's sequence in its thread (u and x repeat the message's);
        in a catalogue and in the keys a record's number in the file (z repeats the key's)
    n   eight digits: bytes of d
    d   the object, exactly as it is served; further fields may follow it, none of them an object
    e   what belongs to the object and is never served with it: sealed bytes, in base64;
        a line that seals nothing has no such field

The digits are fixed in width, so every slice below is a constant, and a page of messages is made by
cutting each d out of the bytes that one read returned: nothing is decoded. The checksum is verified
whenever a line is read.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from typing import NamedTuple

from storage.checksum import crc32

LINE_BYTES_MAX = 8 * 1024 * 1024
"""The longest line, in bytes, newline included."""

HEADER = "h"
ADDS = frozenset("mt")
REPLACES = frozenset("uv")
REMOVES = frozenset("xy")
KINDS = frozenset("hmuxtvykz")

_CHECKED_FROM = 14
KIND_AT = 27
"""Where a line has the letter of its kind."""
SEQUENCE = slice(35, 45)
"""Where it has the digits of `s`."""
_LENGTH = slice(52, 60)
DATA_AT = 66
"""Bytes of a line that precede `d`."""

_numbers = struct.Struct("14s38x8s").unpack_from
"""A line up to its checksum's last digit, and the digits of its length."""

_KIND, _S, _N = b',"k":"', b'","s":"', b'","n":"'
_LINE = b'","v":1,"k":"%c","s":"%010d","n":"%08d","d":%b%b}\n'
_SEALED = b',"e":"'
_SEALED_END = b'"}\n'


class RecordError(ValueError):
    """These bytes are no sound line."""


class Record(NamedTuple):
    """A sound line, taken apart.

    Attributes:
        kind: One letter of `KINDS`.
        sequence: 0..9_999_999_999.
        data: The object's JSON, as it was given to `encode`.
    """

    kind: str
    sequence: int
    data: bytes


def encode(kind: str, sequence: int, data: bytes, sealed: bytes = b"") -> bytes:
    """Return the line, newline included, that holds `data`, one JSON object without a newline.

    Args:
        kind: One letter of `KINDS`.
        sequence: 0..9_999_999_999.
        data: The object.
        sealed: Any bytes that belong to it and read by `halves` alone; often none.

    Raises:
        RecordError: The line would be longer than `LINE_BYTES_MAX`.
    """
    behind = b'%b%b"' % (_SEALED, b64encode(sealed)) if sealed else b""
    rest = _LINE % (ord(kind), sequence, len(data), data, behind)
    if len(rest) + _CHECKED_FROM > LINE_BYTES_MAX:
        raise RecordError(f"a line of {len(rest) + _CHECKED_FROM} bytes is too long")
    return b'{"c":"%08x%b' % (crc32(rest), rest)


def payload(piece: bytes, offset: int, length: int) -> bytes:
    """Return `d` of the line at a place in some bytes, once its checksum has proved sound.

    Args:
        piece: Bytes of a log.
        offset: Where the line begins in them.
        length: Of the line, newline included.

    Raises:
        RecordError: The line is not as it was written.
    """
    try:
        names_itself, size = _numbers(piece, offset)
        if names_itself != b'{"c":"%08x' % crc32(piece[offset + _CHECKED_FROM : offset + length]):
            raise RecordError("the checksum does not match")
        start = offset + DATA_AT
        return piece[start : start + int(size)]
    except RecordError:
        raise
    except (struct.error, ValueError):
        raise RecordError("the line is no line") from None


def whole(piece: bytes, offset: int, length: int) -> bytes:
    """Return the line at a place in some bytes, as it stands, once its checksum has proved sound.

    Raises:
        RecordError: The line is not as it was written.
    """
    payload(piece, offset, length)
    return piece[offset : offset + length]


def halves(line: bytes) -> tuple[bytes, bytes]:
    """Return `d` and the sealed bytes of a sound line; the second are none if it seals nothing.

    Raises:
        RecordError: The line is not as it was written.
    """
    end = DATA_AT + int(line[_LENGTH])
    behind = line[end : -len(_SEALED_END)]
    if not behind.startswith(_SEALED):
        return line[DATA_AT:end], b""
    try:
        return line[DATA_AT:end], b64decode(behind[len(_SEALED) :], validate=True)
    except ValueError:
        raise RecordError("the sealed bytes are unreadable") from None


def stated_length(buffer: bytes, place: int) -> int:
    """Tell how long the line at a place in some bytes says that it is; 0 where it does not."""
    _, _, data_length = prefix(buffer[place : place + DATA_AT])
    if data_length < 0:
        return 0
    end = place + DATA_AT + data_length
    if buffer.startswith(_SEALED, end):
        # Base64 has no quotes, so the first one ends it.
        quote = buffer.find(b'"', end + len(_SEALED))
        end = quote + 1 if quote >= 0 else len(buffer)
    return end + len(_SEALED_END) - 1 - place


def parse(line: bytes) -> Record:
    """Take one whole line apart, newline included.

    Raises:
        RecordError: The line is not as it was written.
    """
    data = payload(line, 0, len(line))
    try:
        return Record(chr(line[KIND_AT]), int(line[SEQUENCE]), data)
    except ValueError:
        raise RecordError("the sequence is unreadable") from None


def relabel(line: bytes, kind: str, sequence: int) -> bytes:
    """Return a sound line under another kind and sequence; all else in it stays."""
    rest = b"%b%c%b%010d%b" % (
        line[_CHECKED_FROM:KIND_AT],
        ord(kind),
        line[KIND_AT + 1 : SEQUENCE.start],
        sequence,
        line[SEQUENCE.stop :],
    )
    return b'{"c":"%08x%b' % (crc32(rest), rest)


def prefix(line: bytes) -> tuple[str, int, int]:
    """Read kind, sequence and the length of `d` from what is left of a line's start, unchecked.

    Returns:
        Each by itself; an empty kind, or -1, where it does not stand as in every line.
    """
    kind = line[KIND_AT : KIND_AT + 1].decode("latin-1")
    if not line.startswith(_KIND, KIND_AT - len(_KIND)) or kind not in KINDS:
        kind = ""
    return kind, _digits(line, _S, SEQUENCE), _digits(line, _N, _LENGTH)


def _digits(line: bytes, label: bytes, place: slice) -> int:
    digits = line[place]
    is_whole = len(digits) == place.stop - place.start and digits.isdigit()
    return int(digits) if is_whole and line.startswith(label, place.start - len(label)) else -1


def checksum(line: bytes) -> bytes:
    """Return the eight hex digits with which a line names itself, unchecked."""
    return line[6:_CHECKED_FROM]
