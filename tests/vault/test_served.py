"""Encrypted threads as the official client and an operator see them, in a real server."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import openai
import pytest

from ragen_actor import schema
from tests.operator.command import run
from tests.server_process import ServerProcess
from tests.vault.vault_house import ORG, SECRET, files_of, key_file, opened

PLACEHOLDER = "[encrypted — open this thread in the dashboard to view]"
DEBUG = '[log]\nlevel = "debug"\n'


def with_keys(*files: Path) -> str:
    return f"{DEBUG}[vault]\nmaster_key_files = [{', '.join(f'{str(each)!r}' for each in files)}]\n"


def client_of(server: ServerProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=server.key, base_url=server.base_url, max_retries=0, timeout=20
    )


async def threads_in(data_dir: Path, master: Path) -> tuple[str, str]:
    """Make an encrypted thread of 25 messages and a plain one."""
    async with opened(data_dir, master) as vault:
        texts = [f"{SECRET} {number}" for number in range(25)]
        sealed = await vault.thread(*texts, title="in the sidebar")
        return sealed, await vault.house.thread("plain")


async def test_the_official_client_sees_a_thread_with_placeholders(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    sealed, plain = await threads_in(data_dir, master)
    server = ServerProcess(data_dir, config=with_keys(master))
    server.start()
    async with client_of(server) as client:
        threads = client.beta.threads
        messages = [each async for each in threads.messages.list(sealed, limit=10)]
        assert len(messages) == 25
        for message in messages:
            [part] = message.content
            assert part.type == "text"
            assert (part.text.value, part.text.annotations) == (PLACEHOLDER, [])
        thread = await threads.retrieve(sealed)
        assert thread.to_dict()["title"] == "in the sidebar"
        assert set(thread.to_dict()) == set((await threads.retrieve(plain)).to_dict())
        before = files_of(data_dir)
        with pytest.raises(openai.BadRequestError) as refusal:
            await threads.messages.create(sealed, role="user", content="in plain text")
        assert refusal.value.code == "encrypted_thread"
        assert files_of(data_dir) == before
        await threads.update(sealed, metadata={"channel": "x"})
        changed = await threads.messages.update(
            messages[0].id, thread_id=sealed, metadata={"k": "v"}
        )
        assert changed.content == messages[0].content
        await threads.messages.delete(messages[1].id, thread_id=sealed)
        await threads.messages.create(plain, role="user", content="more")
    server.kill()
    server.restart()
    server.close()
    for path, content in files_of(data_dir).items():
        assert SECRET.encode() not in content, path
    assert SECRET not in server.log
    async with opened(data_dir, master) as vault:
        texts = await vault.texts(sealed)
    assert texts == [f"{SECRET} {number}" for number in range(25) if number != 23]


async def test_a_running_server_moves_its_threads_to_a_new_master_key(tmp_path: Path) -> None:
    data_dir, old, new = tmp_path / "data", key_file(tmp_path), key_file(tmp_path, "new.key")
    sealed, _ = await threads_in(data_dir, old)
    server = ServerProcess(data_dir, config=with_keys(new, old))
    server.start()
    first = await asyncio.to_thread(run, "rewrap", data_dir=data_dir)
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith(f"{data_dir}: 1 of 1 encrypted threads moved to the master key")
    again = await asyncio.to_thread(run, "rewrap", data_dir=data_dir)
    assert again.out.startswith(f"{data_dir}: 0 of 1 encrypted threads moved")
    server.kill()
    async with opened(data_dir, new) as vault:
        assert len(await vault.texts(sealed)) == 25


async def test_a_restored_copy_is_read_with_the_same_master_key_only(tmp_path: Path) -> None:
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    sealed, _ = await threads_in(data_dir, master)
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    assert run("check", data_dir=copy).code == 0
    async with opened(copy, master) as vault:
        assert (await vault.texts(sealed))[0] == f"{SECRET} 0"
        key_id = vault.door.wraps_with
    async with opened(copy, key_file(tmp_path, "other.key")) as vault:
        page = await vault.door.list_messages(ORG, sealed, schema.ListQuery())
        assert page.fault is not None
        assert str(key_id) in page.fault.message


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.chmod(0o644), "others may read this master key"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_text("nonsense"), "this is no master key"),
    ],
    ids=["readable", "gone", "nonsense"],
)
def test_a_server_does_not_start_with_a_bad_master_key(
    tmp_path: Path, spoil: object, said: str
) -> None:
    assert callable(spoil)
    master = key_file(tmp_path)
    spoil(master)
    config = tmp_path / "config.toml"
    config.write_text(with_keys(master))
    ran = run("serve", "--port", "0", "--config", str(config), data_dir=tmp_path / "data")
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


async def test_a_server_starts_and_serves_though_kms_cannot_be_asked(tmp_path: Path) -> None:
    arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    data_dir, master = tmp_path / "data", key_file(tmp_path)
    sealed, plain = await threads_in(data_dir, master)
    config = f"[vault]\nkms_key_id = {arn!r}\nmaster_key_files = [{str(master)!r}]\n"
    server = ServerProcess(data_dir, config=config)
    server.start()
    async with client_of(server) as client:
        threads = client.beta.threads
        await threads.messages.create(plain, role="user", content="more")
        assert [each async for each in threads.messages.list(sealed)]
    ran = await asyncio.to_thread(run, "rewrap", data_dir=data_dir)
    assert ran.code == 1
    assert arn in ran.err
    server.close()
