from __future__ import annotations

import asyncio
import os

import pytest

from ragen_actor.vault.data_keys import DataKeys
from ragen_actor.vault.errors import MasterKeyMissing, MasterKeyUnavailable, SealBroken
from ragen_actor.vault.master_key import Context, WrappedKey
from ragen_actor.vault.master_key_file import LocalMasterKey

ORG = "acme"


class Counted(LocalMasterKey):
    """A real master key that counts how often it unwraps, and can be out of reach."""

    def __init__(self) -> None:
        super().__init__(bytes(range(32)), os.urandom)
        self.unwrapped = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def unwrap(self, wrapped: WrappedKey, context: Context) -> bytes:
        self.unwrapped += 1
        await self.answers.wait()
        if self.away:
            raise MasterKeyUnavailable(self.id, "it is away")
        return await super().unwrap(wrapped, context)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def keys_of(master: Counted, time: Time, *, seconds: float = 300, keys_max: int = 1000) -> DataKeys:
    return DataKeys(
        master,
        master.id,
        {master.id: master},
        None,
        cache_seconds=seconds,
        cache_keys_max=keys_max,
        clock=time,
        random=os.urandom,
    )


async def fresh(master: Counted, count: int = 1) -> list[tuple[bytes, bytes]]:
    """Data keys that another server made."""
    other = keys_of(master, Time())
    made = [await other.new(ORG) for _ in range(count)]
    other.close()
    return made


async def test_a_key_is_unwrapped_once_within_its_time() -> None:
    master, time = Counted(), Time()
    [(key, stored)] = await fresh(master)
    keys = keys_of(master, time)
    for _ in range(3):
        assert await keys.open(ORG, stored) == key
    assert master.unwrapped == 1
    time.now = 300.0
    assert await keys.open(ORG, stored) == key
    assert master.unwrapped == 2
    keys.close()


async def test_a_key_leaves_memory_though_nobody_asks() -> None:
    master, time = Counted(), Time()
    keys = keys_of(master, time, seconds=0.001)
    await keys.new(ORG)
    time.now = 1.0
    async with asyncio.timeout(20):
        while len(keys):
            await asyncio.sleep(0)
    keys.close()


async def test_no_more_keys_are_remembered_than_allowed() -> None:
    master = Counted()
    made = await fresh(master, 5)
    keys = keys_of(master, Time(), keys_max=3)
    for key, stored in made:
        assert await keys.open(ORG, stored) == key
    assert len(keys) == 3
    for key, stored in reversed(made):
        assert await keys.open(ORG, stored) == key
    assert master.unwrapped == 7
    keys.close()
    assert len(keys) == 0


async def test_askers_of_one_key_share_one_call_and_one_may_leave() -> None:
    master = Counted()
    [(key, stored)] = await fresh(master)
    keys = keys_of(master, Time())
    master.answers.clear()
    askers = [asyncio.create_task(keys.open(ORG, stored)) for _ in range(5)]
    await asyncio.sleep(0)
    askers[0].cancel()
    await asyncio.sleep(0)
    master.answers.set()
    assert await asyncio.gather(*askers[1:]) == [key] * 4
    assert master.unwrapped == 1
    keys.close()


async def test_a_failure_is_not_remembered() -> None:
    master = Counted()
    [(key, stored)] = await fresh(master)
    keys = keys_of(master, Time())
    master.away = True
    with pytest.raises(MasterKeyUnavailable):
        await keys.open(ORG, stored)
    master.away = False
    assert await keys.open(ORG, stored) == key
    keys.close()


async def test_a_key_opens_for_its_organisation_alone_also_when_it_is_remembered() -> None:
    master = Counted()
    keys = keys_of(master, Time())
    _, stored = await keys.new(ORG)
    with pytest.raises(SealBroken):
        await keys.open("other", stored)
    keys.close()


@pytest.mark.parametrize("stored", [b"", b"{}", b"nonsense", b'{"master":"local-0","id":"1"}'])
async def test_what_is_no_wrapped_key_is_said_to_be_none(stored: bytes) -> None:
    keys = keys_of(Counted(), Time())
    with pytest.raises(SealBroken):
        await keys.open(ORG, stored)
    keys.close()


async def test_a_key_of_an_unknown_master_names_it() -> None:
    master = Counted()
    [(_, stored)] = await fresh(master)
    keys = DataKeys(
        None,
        None,
        {},
        None,
        cache_seconds=1,
        cache_keys_max=1,
        clock=Time(),
        random=os.urandom,
    )
    with pytest.raises(MasterKeyMissing, match=master.id):
        await keys.open(ORG, stored)
    keys.close()
