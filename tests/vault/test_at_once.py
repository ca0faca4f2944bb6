"""Commands that meet in one encrypted thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragen_actor import schema
from ragen_actor.actors.sealed import GetSealedThread, ReplaceKey, read_page
from ragen_actor.actors.sweep import compact_catalog, compact_thread
from tests.actors.house import done
from tests.vault.vault_house import ORG, SECRET, VaultHouse, key_file, opened, said


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[VaultHouse]:
    async with opened(tmp_path / "data", key_file(tmp_path)) as house:
        yield house


async def stored_key(vault: VaultHouse, thread_id: str) -> bytes:
    answer = await vault.house.registry.ask_catalog(ORG, GetSealedThread(thread_id))
    return read_page(answer).sealed[0]


async def test_turns_appended_at_once_keep_the_order_they_came_in(vault: VaultHouse) -> None:
    thread_id = await vault.thread()
    texts = [f"{SECRET} {number}" for number in range(100)]
    await asyncio.gather(*[vault.door.append(ORG, thread_id, said(text)) for text in texts])
    assert await vault.texts(thread_id) == texts


async def test_a_new_key_and_a_new_title_at_once_both_take_effect(vault: VaultHouse) -> None:
    thread_id = await vault.thread(SECRET)
    stored = await stored_key(vault, thread_id)
    registry = vault.house.registry
    answers = [
        registry.ask_thread(ORG, thread_id, ReplaceKey(stored, b"another")),
        vault.house.modify(thread_id, title="first"),
        registry.ask_thread(ORG, thread_id, ReplaceKey(stored, b"too late")),
        vault.house.modify(thread_id, metadata={"a": "b"}),
        registry.ask_thread(ORG, thread_id, ReplaceKey(b"another", stored)),
    ]
    said = await asyncio.gather(*answers)
    assert [said[0], said[2], said[4]] == [b"true", b"false", b"true"]
    assert await stored_key(vault, thread_id) == stored
    thread = (await vault.door.get_thread(ORG, thread_id)).thread
    assert (thread.title, thread.metadata) == ("first", {"a": "b"})
    assert await vault.texts(thread_id) == [SECRET]


async def test_a_metadata_change_and_a_compaction_at_once_lose_nothing(vault: VaultHouse) -> None:
    thread_id = await vault.thread(*[f"{SECRET} {number}" for number in range(50)])
    ids = await vault.house.ids(thread_id)
    changes = [
        done(vault.house.modify_message(thread_id, message_id, metadata={"k": message_id}))
        for message_id in ids
    ]
    await asyncio.gather(
        *changes[:25],
        compact_thread(vault.house.registry, ORG, thread_id, now=True),
        compact_catalog(vault.house.registry, ORG, now=True),
        *changes[25:],
    )
    page = await vault.door.list_messages(ORG, thread_id, schema.ListQuery(limit=100, order="asc"))
    assert await vault.texts(thread_id) == [f"{SECRET} {number}" for number in range(50)]
    assert [turn.message.metadata["k"] for turn in page.turns] == ids


async def test_who_is_asked_in_passing_leaves_again(tmp_path: Path) -> None:
    master = key_file(tmp_path)
    async with opened(tmp_path / "data", master) as vault:
        thread_id = await vault.thread(SECRET)
        stored = await stored_key(vault, thread_id)
    async with opened(tmp_path / "data", master) as vault:
        registry = vault.house.registry
        assert await registry.ask_in_passing(ORG, thread_id, ReplaceKey(stored, b"x")) == b"true"
        assert len(registry) == 1  # The catalogue's owner.
