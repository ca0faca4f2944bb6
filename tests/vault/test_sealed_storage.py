"""The sealed part of a line survives whatever its line survives."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragen_actor import schema
from ragen_actor.actors.sweep import compact_catalog, compact_thread
from ragen_actor.errors import InvalidRequest
from ragen_actor.vault.errors import DataKeyLost
from storage.check import check
from storage.record import (
    DATA_AT,
    RecordError,
    encode,
    halves,
    parse,
    payload,
    stated_length,
    whole,
)
from storage.repair import repair
from tests.storage.samples import message
from tests.vault.vault_house import ORG, SECRET, VaultHouse, key_file, opened, said, texts_of

SEALED = bytes(range(256))
LINE = encode("m", 7, message(7, "shown"), SEALED)
ALL = schema.ListQuery(limit=100, order="asc")


def test_a_line_gives_its_object_and_what_is_sealed() -> None:
    piece = b"before" + LINE + b"behind"
    assert payload(piece, 6, len(LINE)) == message(7, "shown")
    assert whole(piece, 6, len(LINE)) == LINE
    assert halves(LINE) == (message(7, "shown"), SEALED)
    assert halves(encode("m", 7, message(7, "shown"))) == (message(7, "shown"), b"")
    assert parse(LINE).data == message(7, "shown")


def test_a_line_that_seals_nothing_is_as_it_always_was() -> None:
    line = encode("m", 7, message(7, "shown"))
    assert encode("m", 7, message(7, "shown"), b"") == line
    assert line.endswith(message(7, "shown") + b"}\n")


def test_every_damaged_byte_is_noticed() -> None:
    for place in range(len(LINE)):
        changed = bytearray(LINE)
        changed[place] ^= 1
        with pytest.raises(RecordError):
            whole(bytes(changed), 0, len(changed))


def test_a_line_says_how_long_it_is() -> None:
    plain = encode("m", 7, message(7, "shown"))
    for line in (LINE, plain):
        assert stated_length(b"xy" + line + plain, 2) == len(line)


def repaired(data_dir: Path) -> list[str]:
    deeds = repair(data_dir, journal_segment_bytes=1 << 20, new_entry=entry, now=0)
    return [deed.text for deed in deeds]


def entry(org: str, thread_id: str) -> bytes:
    return schema.encode(schema.Thread(id=thread_id, created_at=1))


def log_of(data_dir: Path, thread_id: str) -> Path:
    [path] = data_dir.rglob(f"{thread_id}.jsonl")
    return path


async def refuses_plain_text(vault: VaultHouse, thread_id: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await vault.house.append(thread_id, "in plain text")
    assert refusal.value.code == "encrypted_thread"


async def test_compaction_repair_and_recovery_keep_what_is_sealed(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, master) as vault:
        thread_id = await vault.thread("one", "two", "three", "four")
        ids = await vault.house.ids(thread_id)
        await vault.house.modify_message(thread_id, ids[0], metadata={"a": "b"})
        await vault.house.delete_message(thread_id, ids[3])
        assert await compact_thread(vault.house.registry, ORG, thread_id, now=True)
        await compact_catalog(vault.house.registry, ORG, now=True)
        assert await vault.texts(thread_id) == ["one", "two", "three"]
        await refuses_plain_text(vault, thread_id)
    assert b'"sealed":true' in log_of(data_dir, thread_id).read_bytes().splitlines()[0]
    assert not list(check(data_dir))
    path = log_of(data_dir, thread_id)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"e":"', b'"e":"x', 1)
    path.write_bytes(b"".join(lines))
    assert list(check(data_dir))
    assert repaired(data_dir)
    async with opened(data_dir, master) as vault:
        assert await vault.texts(thread_id) == ["one", "three"]
        await refuses_plain_text(vault, thread_id)


@pytest.mark.parametrize("place", [3, 28, 40, DATA_AT + 40, DATA_AT + 500, -30, -2, -1])
async def test_a_damaged_sealed_line_costs_that_message_alone(tmp_path: Path, place: int) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, master) as vault:
        thread_id = await vault.thread("one", "two" * 500, "three")
    path = log_of(data_dir, thread_id)
    lines = path.read_bytes().splitlines(keepends=True)
    hit = bytearray(lines[2])
    hit[place] ^= 0x11
    lines[2] = bytes(hit)
    path.write_bytes(b"".join(lines))
    repaired(data_dir)
    async with opened(data_dir, master) as vault:
        assert await vault.texts(thread_id) == ["one", "three"]
        written = await vault.door.append(ORG, thread_id, said("four"))
        assert (schema.message_sequence(written.id) or 0) >= 4


async def test_a_thread_whose_header_is_lost_stays_closed_to_plain_text(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, master) as vault:
        thread_id = await vault.thread(SECRET)
    path = log_of(data_dir, thread_id)
    path.write_bytes(path.read_bytes().replace(b'"sealed":true', b'"sealed":null', 1))
    repaired(data_dir)
    async with opened(data_dir, master) as vault:
        await refuses_plain_text(vault, thread_id)
        assert await vault.texts(thread_id) == [SECRET]
    path.unlink()
    repaired(data_dir)
    async with opened(data_dir, master) as vault:
        await refuses_plain_text(vault, thread_id)


async def test_a_thread_whose_entry_is_lost_says_that_its_key_is(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, master) as vault:
        thread_id = await vault.thread(SECRET)
    catalog = data_dir / "orgs" / ORG / "catalog.jsonl"
    catalog.write_bytes(catalog.read_bytes().splitlines(keepends=True)[0])
    repaired(data_dir)
    async with opened(data_dir, master) as vault:
        await refuses_plain_text(vault, thread_id)
        page = await vault.door.list_messages(ORG, thread_id, ALL)
        assert isinstance(page.fault, DataKeyLost)
        assert texts_of(page) == [schema.PLACEHOLDER]
        with pytest.raises(DataKeyLost):
            await vault.door.append(ORG, thread_id, said())


async def test_a_damaged_new_version_leaves_the_former_one_readable(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, master) as vault:
        thread_id = await vault.thread("one", "two")
        ids = await vault.house.ids(thread_id)
        await vault.house.modify_message(thread_id, ids[1], metadata={"a": "b"})
    path = log_of(data_dir, thread_id)
    hit = bytearray(path.read_bytes())
    hit[-10] ^= 1
    path.write_bytes(hit)
    repaired(data_dir)
    async with opened(data_dir, master) as vault:
        assert await vault.texts(thread_id) == ["one", "two"]
        turn = await vault.door.get_message(ORG, thread_id, ids[1])
        assert turn.message.metadata == {}
