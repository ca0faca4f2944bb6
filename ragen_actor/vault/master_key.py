"""What a master key can do, and how a data key looks that one of them has wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ragen_actor.vault.errors import SealBroken

Context = Mapping[str, str]
"""What a wrapped key is bound to, and will only be unwrapped with."""


class WrappedKey(msgspec.Struct, frozen=True):
    """A thread's data key as its entry in the catalogue holds it.

    Attributes:
        master: The id of the master key that wrapped it.
        id: Its own, 32 random hex digits; with the organisation it is what the wrapping is bound
            to. A thread's id would not do: it is given out when the thread is stored, and by then
            the wrapped key must be there.
        blob: What the master key made of it.
        version: Of this shape.
    """

    master: str
    id: str
    blob: bytes
    version: int = 1

    def context(self, org: str) -> Context:
        """Return what the wrapping is bound to."""
        return context(org, self.id)


class DataKey(msgspec.Struct, frozen=True):
    """A data key, fresh and wrapped.

    Attributes:
        key: 32 bytes.
        blob: The same, wrapped.
        master: The id of the master key that wrapped it, in full.
    """

    key: bytes
    blob: bytes
    master: str


class MasterKey(Protocol):
    """Wraps data keys, and never leaves its place."""

    async def generate(self, context: Context) -> DataKey:
        """Return a fresh data key.

        Raises:
            MasterKeyUnavailable: It cannot be reached.
            MasterKeyRefused: It may not be used.
        """

    async def wrap(self, key: bytes, context: Context) -> DataKey:
        """Wrap a data key that exists; raises what `generate` raises."""

    async def unwrap(self, wrapped: WrappedKey, context: Context) -> bytes:
        """Return a data key.

        Raises:
            MasterKeyUnavailable: It cannot be reached.
            MasterKeyRefused: It may not be used.
            MasterKeyMissing: There is no such key any more.
            SealBroken: It wrapped no such key for this context.
        """


def context(org: str, key_id: str) -> Context:
    """Return what the wrapping of an organisation's data key is bound to."""
    return {"organisation": org, "key": key_id}


def encode_wrapped(wrapped: WrappedKey) -> bytes:
    """Return a wrapped key as it is stored, JSON."""
    return msgspec.json.encode(wrapped)


def decode_wrapped(stored: bytes) -> WrappedKey:
    """Return what `encode_wrapped` wrote.

    Raises:
        SealBroken: It is none.
    """
    try:
        wrapped = msgspec.json.decode(stored, type=WrappedKey)
    except (msgspec.DecodeError, ValueError):
        raise SealBroken("The key of this thread") from None
    if wrapped.version != 1:
        raise SealBroken("The key of this thread")
    return wrapped
