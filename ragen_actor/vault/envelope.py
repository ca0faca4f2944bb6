"""One message under its thread's data key: sealed with AES-256-GCM, bound to where it belongs.

    1 byte    the format, 1
    12 bytes  nonce, random, fresh for each message
    rest      ciphertext of the content as JSON, and the tag of 16 bytes

What is not secret and must not be exchanged is authenticated with it: the format, the organisation,
the ids of thread and message, and the role. Ciphertext that was copied to another message, another
thread or under another role does not open.

Source: NIST SP 800-38D: random nonces of 96 bits serve up to 2^32 messages under one key.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ragen_actor import schema
from ragen_actor.vault.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12
_FORMAT = 1


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a sealed message belongs."""

    org: str
    thread_id: str
    message_id: str
    role: str


class Content(msgspec.Struct, frozen=True):
    """What is secret of a message."""

    content: tuple[schema.Part, ...]
    attachments: tuple[schema.Attachment, ...] = ()


_decoder = msgspec.json.Decoder(Content)


def seal(key: bytes, content: Content, place: Place, random: Callable[[int], bytes]) -> bytes:
    """Return the content sealed.

    Args:
        key: The thread's data key, 32 bytes.
        content: What is secret.
        place: Where it belongs, and will only open.
        random: Returns that many random bytes.
    """
    nonce = random(NONCE_BYTES)
    plaintext = msgspec.json.encode(content)
    return bytes([_FORMAT]) + nonce + AESGCM(key).encrypt(nonce, plaintext, _bound(place))


def unseal(key: bytes, sealed: bytes, place: Place) -> Content:
    """Return what `seal` sealed for this place.

    Raises:
        SealBroken: It was changed, or belongs elsewhere.
    """
    try:
        if sealed[:1] != bytes([_FORMAT]):
            raise ValueError("another format")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        return _decoder.decode(AESGCM(key).decrypt(nonce, ciphertext, _bound(place)))
    except (InvalidTag, ValueError):
        raise SealBroken(f"The message '{place.message_id}'") from None


def _bound(place: Place) -> bytes:
    return msgspec.json.encode((_FORMAT, place))
