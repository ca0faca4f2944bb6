from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ragen_actor import schema
from ragen_actor.actors.sweep import compact_catalog
from ragen_actor.vault.errors import EncryptionOff, MasterKeyMissing
from ragen_actor.vault.master_key import decode_wrapped
from ragen_actor.vault.rewrap import RewrapReport, rewrap
from storage.record import halves
from tests.actors.house import done
from tests.vault.vault_house import ORG, SECRET, VaultHouse, key_file, opened, said

COUNT = 23


async def moved(vault: VaultHouse) -> RewrapReport:
    report = RewrapReport()
    await rewrap(vault.house.registry, vault.keys.data_keys, report)
    return report


def masters(data_dir: Path) -> list[str]:
    """Name the master key of every entry that has one, oldest line first."""
    lines = (data_dir / "orgs" / ORG / "catalog.jsonl").read_bytes().splitlines(keepends=True)
    stored = [halves(line)[1] for line in lines]
    return [decode_wrapped(each).master for each in stored if each]


async def test_every_encrypted_thread_moves_to_the_first_master_key(tmp_path: Path) -> None:
    data_dir, old, new = tmp_path / "data", key_file(tmp_path), key_file(tmp_path, "new.key")
    async with opened(data_dir, old) as vault:
        threads = [await vault.thread(f"{SECRET} {number}") for number in range(COUNT)]
        plain = await vault.house.thread("plain")
        await done(vault.house.modify(threads[0], title="kept", metadata={"a": "b"}))
    async with opened(data_dir, new, old) as vault:
        report = await moved(vault)
        assert (report.threads, report.encrypted) == (COUNT + 1, COUNT)
        assert (report.moved, report.failed) == (COUNT, 0)
        assert (await moved(vault)).moved == 0
        await compact_catalog(vault.house.registry, ORG, now=True)
        assert set(masters(data_dir)) == {vault.door.wraps_with}
    async with opened(data_dir, new) as vault:
        for number, thread_id in enumerate(threads):
            assert await vault.texts(thread_id) == [f"{SECRET} {number}"]
            await vault.door.append(ORG, thread_id, said("more"))
        assert await vault.texts(plain) == ["plain"]
        first = (await vault.door.get_thread(ORG, threads[0])).thread
        assert (first.title, first.metadata) == ("kept", {"a": "b"})
    async with opened(data_dir, old) as vault:
        page = await vault.door.list_messages(ORG, threads[0], schema.ListQuery())
        assert isinstance(page.fault, MasterKeyMissing)


async def test_work_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    data_dir, old, new = tmp_path / "data", key_file(tmp_path), key_file(tmp_path, "new.key")
    async with opened(data_dir, old) as vault:
        first, second = await vault.thread("first"), await vault.thread("second")
    async with opened(data_dir, new, old) as vault:
        await vault.thread("third")
        assert (await moved(vault)).moved == 2
    async with opened(data_dir, new) as vault:
        assert await vault.texts(first) + await vault.texts(second) == ["first", "second"]


async def test_a_thread_whose_master_key_is_gone_is_counted_and_the_rest_moves(
    tmp_path: Path,
) -> None:
    data_dir, gone = tmp_path / "data", key_file(tmp_path, "gone.key")
    old, new = key_file(tmp_path), key_file(tmp_path, "new.key")
    async with opened(data_dir, gone) as vault:
        await vault.thread("lost")
    async with opened(data_dir, old) as vault:
        kept = await vault.thread("kept")
    async with opened(data_dir, new, old) as vault:
        report = await moved(vault)
        assert (report.encrypted, report.moved, report.failed) == (2, 1, 1)
        assert await vault.texts(kept) == ["kept"]


async def test_a_key_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    data_dir, old, new = tmp_path / "data", key_file(tmp_path), key_file(tmp_path, "new.key")
    async with opened(data_dir, old) as vault:
        thread_id = await vault.thread(SECRET)
    async with opened(data_dir, new, old) as vault:
        other = VaultHouse(vault.house, vault.keys)
        reports = [await moved(vault), await moved(other)]
        assert [report.moved for report in reports] == [1, 0]
        assert await vault.texts(thread_id) == [SECRET]


async def test_without_a_master_key_nothing_is_begun(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as vault:
        with pytest.raises(EncryptionOff):
            await moved(vault)


def command(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ragen_actor", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_command_moves_them_where_no_server_runs(tmp_path: Path) -> None:
    data_dir, old = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, old) as vault:
        thread_id = await vault.thread(SECRET)
    made = command(tmp_path, "master-key", "create", "--file", "new.key")
    assert made.returncode == 0
    new = tmp_path / "new.key"
    files = f"{new},{old}"
    ended = command(tmp_path, "rewrap", RAGEN_VAULT_MASTER_KEY_FILES=files)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        f"data: 1 of 1 encrypted threads moved to the master key {made.stdout.strip()}\n"
    )
    async with opened(data_dir, new) as vault:
        assert await vault.texts(thread_id) == [SECRET]
    refused = command(tmp_path, "rewrap")
    assert refused.returncode == 1
    assert "no master key" in refused.stderr
