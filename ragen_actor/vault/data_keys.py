"""The threads' data keys: made, unwrapped, wrapped anew, and remembered for a while.

Each thread has a data key of its own, which stands wrapped in the thread's entry. A key that was
unwrapped is kept in memory, for a bounded time and among a bounded number, so that a conversation
costs one call of the key management service and not one for each message.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping

from ragen_actor.vault.errors import EncryptionOff, MasterKeyMissing
from ragen_actor.vault.master_key import (
    MasterKey,
    WrappedKey,
    context,
    decode_wrapped,
    encode_wrapped,
)

_ID_BYTES = 16
_Known = tuple[str, bytes]


class DataKeys:
    """Every data key that is needed now. Its methods belong to one event loop.

    Args:
        wrapping: Wraps new keys; None where there is no master key.
        wraps_with: Its id as configured, which may be short for the id that is stored.
        local: Further master keys held here, by id; they unwrap.
        remote: Unwraps what a key management service wrapped; None where none may be asked.
        cache_seconds: How long an unwrapped key is remembered.
        cache_keys_max: How many are.
        clock: Seconds, never going back.
        random: Returns that many random bytes.
    """

    def __init__(
        self,
        wrapping: MasterKey | None,
        wraps_with: str | None,
        local: Mapping[str, MasterKey],
        remote: MasterKey | None,
        *,
        cache_seconds: float,
        cache_keys_max: int,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self.wraps_with = wraps_with
        self._wraps_as = wraps_with
        self._wrapping = wrapping
        self._local = local
        self._remote = remote
        self._cache_seconds = cache_seconds
        self._cache_keys_max = cache_keys_max
        self._clock = clock
        self._random = random
        # All are kept for the same time, so the oldest, in front, ends first.
        self._known: OrderedDict[_Known, tuple[bytes, float]] = OrderedDict()
        self._asked: dict[_Known, asyncio.Task[bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count the keys that are remembered."""
        return len(self._known)

    async def new(self, org: str) -> tuple[bytes, bytes]:
        """Return a fresh data key, and the same wrapped, as it is stored.

        Raises:
            EncryptionOff: There is no master key.
            MasterKeyUnavailable: It cannot be reached.
            MasterKeyRefused: It may not be used.
        """
        if self._wrapping is None:
            raise EncryptionOff
        key_id = self._random(_ID_BYTES).hex()
        made = await self._wrapping.generate(context(org, key_id))
        self._wraps_as = made.master
        stored = encode_wrapped(WrappedKey(made.master, key_id, made.blob))
        self._remember((org, stored), made.key)
        return made.key, stored

    async def open(self, org: str, stored: bytes) -> bytes:
        """Return a data key from what is stored of it; askers of the same key share one call.

        Raises:
            MasterKeyUnavailable: The master key cannot be reached.
            MasterKeyRefused: It may not be used.
            MasterKeyMissing: This server has none of that id.
            SealBroken: It is no data key of this organisation.
        """
        name = (org, stored)
        found = self._known.get(name)
        if found is not None and found[1] > self._clock():
            return found[0]
        asked = self._asked.get(name)
        if asked is None:
            asked = asyncio.create_task(self._unwrap(name), name="unwrap")
            self._asked[name] = asked
            asked.add_done_callback(lambda task: self._answered(name, task))
        # An asker that leaves must not take the key away from those who wait with it.
        return await asyncio.shield(asked)

    async def rewrapped(self, org: str, stored: bytes) -> bytes | None:
        """Return a data key wrapped by the master key for new ones; None if it is already.

        Raises:
            EncryptionOff: There is no master key.
            MasterKeyUnavailable: One of the two cannot be reached; also what `open` raises.
        """
        if self._wrapping is None:
            raise EncryptionOff
        wrapped = decode_wrapped(stored)
        if wrapped.master == self._wraps_as:
            return None
        key = await self._master(wrapped).unwrap(wrapped, wrapped.context(org))
        made = await self._wrapping.wrap(key, wrapped.context(org))
        self._wraps_as = made.master
        if made.master == wrapped.master:
            return None
        return encode_wrapped(WrappedKey(made.master, wrapped.id, made.blob))

    def close(self) -> None:
        """Forget every key."""
        self._known.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _answered(self, name: _Known, task: asyncio.Task[bytes]) -> None:
        del self._asked[name]
        if not task.cancelled():
            task.exception()  # Everybody who asked may have left, and nobody look at it.

    async def _unwrap(self, name: _Known) -> bytes:
        org, stored = name
        wrapped = decode_wrapped(stored)
        key = await self._master(wrapped).unwrap(wrapped, wrapped.context(org))
        self._remember(name, key)
        return key

    def _master(self, wrapped: WrappedKey) -> MasterKey:
        found = self._local.get(wrapped.master)
        if found is None and not wrapped.master.startswith("local-"):
            found = self._remote
        if found is None:
            raise MasterKeyMissing(wrapped.master)
        return found

    def _remember(self, name: _Known, key: bytes) -> None:
        self._known.pop(name, None)
        self._known[name] = (key, self._clock() + self._cache_seconds)
        while len(self._known) > self._cache_keys_max:
            self._known.popitem(last=False)
        if self._timer is None:
            self._look_again()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._cache_seconds, self._forget_old)

    def _forget_old(self) -> None:
        """Forget what is too old also when nobody asks for anything."""
        self._timer = None
        now = self._clock()
        while self._known and next(iter(self._known.values()))[1] <= now:
            self._known.popitem(last=False)
        if self._known:
            self._look_again()
