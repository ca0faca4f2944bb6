from __future__ import annotations

import base64
import json as stdlib_json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragen_actor import actors, schema
from ragen_actor.actors.sweep import compact_thread
from ragen_actor.errors import InvalidRequest, MessageNotFound, ThreadNotFound
from ragen_actor.vault.errors import EncryptionOff, MasterKeyMissing, SealBroken
from storage.record import encode, halves
from tests.actors.house import done
from tests.vault.vault_house import (
    ORG,
    SECRET,
    VaultHouse,
    files_of,
    key_file,
    opened,
    request,
    said,
    texts_of,
)

ALL = schema.ListQuery(limit=100, order="asc")


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[VaultHouse]:
    async with opened(tmp_path / "data", key_file(tmp_path)) as house:
        yield house


async def test_what_is_written_through_the_vault_is_read_through_it(vault: VaultHouse) -> None:
    thread_id = await vault.thread("first", SECRET)
    written = await vault.door.append(ORG, thread_id, said("third", "assistant"))
    assert await vault.texts(thread_id) == ["first", SECRET, "third"]
    turn = await vault.door.get_message(ORG, thread_id, written.id)
    assert turn.message == written
    assert (turn.encrypted, turn.fault, turn.message.role) == (True, None, "assistant")


async def test_the_public_api_sees_the_placeholder_and_everything_else(vault: VaultHouse) -> None:
    thread_id = await vault.thread(SECRET)
    await vault.door.append(ORG, thread_id, said("aye", "assistant", metadata={"k": "v"}))
    page = await done(vault.house.messages(thread_id, "order=asc"))
    first, second = page["data"]
    for message in (first, second):
        assert message["content"] == [
            {
                "type": "text",
                "text": {
                    "value": "[encrypted — open this thread in the dashboard to view]",
                    "annotations": [],
                },
            }
        ]
        assert await done(vault.house.get_message(thread_id, message["id"])) == message
    assert [first["role"], second["role"]] == ["user", "assistant"]
    assert second["metadata"] == {"k": "v"}
    assert first["status"] == "completed"
    assert page["has_more"] is False


async def test_images_by_url_and_attachments_are_secret_too(vault: VaultHouse) -> None:
    body = {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://secret.example/x.png"}},
        ],
        "attachments": [{"file_id": "file-secret"}],
    }
    message = schema.parse_create_message(stdlib_json.dumps(body).encode())
    thread_id = await vault.thread()
    written = await vault.door.append(ORG, thread_id, message)
    turn = await vault.door.get_message(ORG, thread_id, written.id)
    assert (turn.message.content, turn.message.attachments) == (
        message.content,
        message.attachments,
    )
    shown = await done(vault.house.get_message(thread_id, written.id))
    assert "secret" not in stdlib_json.dumps(shown)


async def test_a_message_from_the_public_api_is_refused_and_nothing_is_written(
    vault: VaultHouse, tmp_path: Path
) -> None:
    thread_id = await vault.thread(SECRET)
    before = files_of(tmp_path / "data")
    with pytest.raises(InvalidRequest) as refusal:
        await vault.house.append(thread_id, "in plain text")
    assert refusal.value.code == "encrypted_thread"
    assert files_of(tmp_path / "data") == before


async def test_no_file_of_the_data_directory_holds_the_text_or_a_key(
    vault: VaultHouse, tmp_path: Path
) -> None:
    thread_id = await vault.thread(SECRET, SECRET)
    message = await vault.door.append(ORG, thread_id, said())
    await done(vault.house.modify_message(thread_id, message.id, metadata={"a": "b"}))
    await done(vault.house.modify(thread_id, title="a title"))
    master = (tmp_path / "master.key").read_text().split()[2]
    words = [SECRET.encode(), base64.b64encode(SECRET.encode())[4:-4], bytes.fromhex(master)]
    words += [master.encode(), b"under the old"]
    for path, content in files_of(tmp_path / "data").items():
        for word in words:
            assert word not in content, path
    await compact_thread(vault.house.registry, ORG, thread_id, now=True)
    assert await vault.texts(thread_id) == [SECRET] * 3


async def test_changes_through_the_public_api_leave_it_readable(vault: VaultHouse) -> None:
    thread_id = await vault.thread("one", "two", "three")
    ids = await vault.house.ids(thread_id)
    changed = await done(vault.house.modify_message(thread_id, ids[0], metadata={"a": "b"}))
    assert changed["content"][0]["text"]["value"] == schema.PLACEHOLDER
    await done(vault.house.delete_message(thread_id, ids[1]))
    await done(vault.house.modify(thread_id, title="renamed", metadata={"c": "d"}))
    page = await vault.door.list_messages(ORG, thread_id, ALL)
    assert texts_of(page) == ["one", "three"]
    assert page.turns[0].message.metadata == {"a": "b"}
    listed = await vault.door.get_thread(ORG, thread_id)
    assert (listed.encrypted, listed.thread.title) == (True, "renamed")
    with pytest.raises(MessageNotFound):
        await vault.door.get_message(ORG, thread_id, ids[1])


async def test_paging_works_as_ever_on_both_sides(vault: VaultHouse) -> None:
    thread_id = await vault.thread(*(f"text {number}" for number in range(5)))
    page = await vault.door.list_messages(ORG, thread_id, schema.ListQuery(limit=2))
    assert (texts_of(page), page.has_more) == (["text 4", "text 3"], True)
    after = page.turns[-1].message.id
    page = await vault.door.list_messages(ORG, thread_id, schema.ListQuery(limit=9, after=after))
    assert (texts_of(page), page.has_more) == (["text 2", "text 1", "text 0"], False)
    with pytest.raises(InvalidRequest):
        ahead = schema.make_message_id(1, 99, 1)
        await vault.door.list_messages(ORG, thread_id, schema.ListQuery(after=ahead))


async def test_plain_threads_pass_through_the_same_door(vault: VaultHouse) -> None:
    plain = await vault.house.thread("hello")
    sealed = await vault.thread(SECRET, title="hidden")
    await vault.door.append(ORG, plain, said("again"))
    assert await vault.texts(plain) == ["hello", "again"]
    assert await vault.house.texts(plain) == ["hello", "again"]
    page = await vault.door.list_threads(ORG, schema.ListQuery())
    found = [(each.thread.id, each.encrypted, each.thread.title) for each in page.threads]
    assert found == [(sealed, True, "hidden"), (plain, False, None)]


async def test_a_deleted_encrypted_thread_is_gone(vault: VaultHouse) -> None:
    thread_id = await vault.thread(SECRET)
    await done(vault.house.delete(thread_id))
    with pytest.raises(ThreadNotFound):
        await vault.door.list_messages(ORG, thread_id, ALL)
    with pytest.raises(ThreadNotFound):
        await vault.door.append(ORG, thread_id, said())


async def test_another_organisation_finds_nothing(vault: VaultHouse) -> None:
    thread_id = await vault.thread(SECRET)
    for ask in (
        vault.door.get_thread("other", thread_id),
        vault.door.list_messages("other", thread_id, ALL),
        vault.door.append("other", thread_id, said()),
    ):
        with pytest.raises(ThreadNotFound):
            await ask


async def test_it_is_readable_after_a_restart_and_stays_closed_to_the_api(tmp_path: Path) -> None:
    master = key_file(tmp_path)
    async with opened(tmp_path / "data", master) as vault:
        thread_id = await vault.thread(SECRET)
    async with opened(tmp_path / "data", master) as vault:
        with pytest.raises(InvalidRequest):
            await vault.house.append(thread_id, "in plain text")
        await vault.door.append(ORG, thread_id, said("more"))
        assert await vault.texts(thread_id) == [SECRET, "more"]


async def test_without_the_master_key_its_id_is_named_and_the_rest_is_shown(
    tmp_path: Path,
) -> None:
    master = key_file(tmp_path)
    async with opened(tmp_path / "data", master) as vault:
        thread_id = await vault.thread(SECRET, title="kept")
        wraps_with = vault.door.wraps_with
    async with opened(tmp_path / "data") as vault:
        page = await vault.door.list_messages(ORG, thread_id, ALL)
        assert isinstance(page.fault, MasterKeyMissing)
        assert str(wraps_with) in page.fault.message
        assert texts_of(page) == [schema.PLACEHOLDER]
        with pytest.raises(MasterKeyMissing):
            await vault.door.append(ORG, thread_id, said())
        assert (await vault.door.get_thread(ORG, thread_id)).thread.title == "kept"
        assert vault.door.wraps_with is None
        with pytest.raises(EncryptionOff):
            await vault.door.create_thread(ORG, request("x"), "asst-web")


async def test_ciphertext_moved_to_another_message_does_not_open(tmp_path: Path) -> None:
    master = key_file(tmp_path)
    async with opened(tmp_path / "data", master) as vault:
        thread_id = await vault.thread("one", "two", "three")
    [path] = (tmp_path / "data").rglob(f"{thread_id}.jsonl")
    header, *lines = path.read_bytes().splitlines(keepends=True)
    pairs = [halves(line) for line in lines]
    moved = encode("m", 2, pairs[1][0], pairs[0][1])
    path.write_bytes(b"".join([header, lines[0], moved, lines[2]]))
    async with opened(tmp_path / "data", master) as vault:
        page = await vault.door.list_messages(ORG, thread_id, ALL)
        assert texts_of(page) == ["one", schema.PLACEHOLDER, "three"]
        assert [type(turn.fault) for turn in page.turns] == [type(None), SealBroken, type(None)]


async def test_a_large_page_opens_as_a_small_one_does(vault: VaultHouse) -> None:
    texts = [f"{number}" * 200_000 for number in range(4)]
    thread_id = await vault.thread()
    for text in texts:
        await vault.door.append(ORG, thread_id, said(text))
    assert await vault.texts(thread_id) == texts


async def test_a_message_too_large_for_a_line_is_refused(vault: VaultHouse) -> None:
    parts = tuple(schema.TextPart(schema.Text("x" * 256_000)) for _ in range(30))
    thread_id = await vault.thread()
    with pytest.raises(InvalidRequest):
        await vault.door.append(ORG, thread_id, schema.NewMessage("user", parts))
    assert await vault.texts(thread_id) == []


async def test_a_plain_line_has_no_field_behind_its_object(
    vault: VaultHouse, tmp_path: Path
) -> None:
    thread_id = await vault.house.thread("hello")
    command = actors.GetMessage((await vault.house.ids(thread_id))[0])
    data = await vault.house.registry.ask_thread(ORG, thread_id, command)
    content = files_of(tmp_path / "data")
    log = next(value for path, value in content.items() if path.endswith(f"{thread_id}.jsonl"))
    assert log.splitlines(keepends=True)[1] == encode("m", 1, data)
    assert b"sealed" not in log
