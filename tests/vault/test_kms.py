from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragen_actor import schema
from ragen_actor.vault.errors import (
    MasterKeyMissing,
    MasterKeyRefused,
    MasterKeyUnavailable,
    SealBroken,
)
from ragen_actor.vault.kms import KmsMasterKey
from ragen_actor.vault.master_key import WrappedKey, decode_wrapped
from ragen_actor.vault.rewrap import RewrapReport, rewrap
from storage.record import halves
from tests.actors.house import done
from tests.vault.kms_server import REGION, KmsServer
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KmsServer]:
    server = KmsServer(tmp_path_factory.mktemp("kms") / "kms.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kms(shared: KmsServer, monkeypatch: pytest.MonkeyPatch) -> KmsServer:
    shared.lead_here(monkeypatch)
    return shared


@pytest.fixture
def own_kms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsServer]:
    """One that the test may stop."""
    yield from KmsServer.running(tmp_path / "kms.log", monkeypatch)


def stored_key(data_dir: Path) -> WrappedKey:
    lines = (data_dir / "orgs" / ORG / "catalog.jsonl").read_bytes().splitlines(keepends=True)
    return decode_wrapped(halves(lines[-1])[1])


async def moved(vault: VaultHouse) -> RewrapReport:
    report = RewrapReport()
    await rewrap(vault.house.registry, vault.keys.data_keys, report)
    return report


async def test_a_thread_under_kms_is_read_again_after_a_restart(
    kms: KmsServer, tmp_path: Path
) -> None:
    arn = await kms.new_key()
    data_dir = tmp_path / "data"
    async with opened(data_dir, kms_key_id=arn.rpartition("/")[2]) as vault:
        thread_id = await vault.thread(SECRET)
    assert stored_key(data_dir).master == arn
    for path, content in files_of(data_dir).items():
        assert SECRET.encode() not in content, path
    async with opened(data_dir, kms_key_id=arn) as vault:
        await vault.door.append(ORG, thread_id, said("more"))
        assert await vault.texts(thread_id) == [SECRET, "more"]


async def test_an_alias_names_a_key_too(kms: KmsServer, tmp_path: Path) -> None:
    arn = await kms.new_key()
    await kms.ask("create_alias", AliasName="alias/threads", TargetKeyId=arn)
    async with opened(tmp_path / "data", kms_key_id="alias/threads") as vault:
        thread_id = await vault.thread(SECRET)
        assert await vault.texts(thread_id) == [SECRET]
        assert (await moved(vault)).moved == 0


async def test_the_encryption_context_is_the_organisation_and_the_key(
    kms: KmsServer, tmp_path: Path
) -> None:
    arn = await kms.new_key()
    async with opened(tmp_path / "data", kms_key_id=arn) as vault:
        await vault.thread(SECRET)
    wrapped = stored_key(tmp_path / "data")
    master = KmsMasterKey(arn)
    context = {"organisation": ORG, "key": wrapped.id}
    assert len(await master.unwrap(wrapped, context)) == 32
    for other in ({}, {**context, "organisation": "other"}, {**context, "key": "other"}):
        with pytest.raises(SealBroken):
            await master.unwrap(wrapped, other)
    await master.close()


async def test_one_conversation_asks_kms_once(own_kms: KmsServer, tmp_path: Path) -> None:
    arn = await own_kms.new_key()
    async with opened(tmp_path / "data", kms_key_id=arn) as vault:
        thread_id = await vault.thread(SECRET)
        own_kms.stop()
        await vault.door.append(ORG, thread_id, said("more"))
        assert await vault.texts(thread_id) == [SECRET, "more"]


async def test_without_kms_nothing_is_written_and_the_api_does_not_notice(
    own_kms: KmsServer, tmp_path: Path
) -> None:
    arn, data_dir = await own_kms.new_key(), tmp_path / "data"
    async with opened(data_dir, kms_key_id=arn) as vault:
        thread_id = await vault.thread(SECRET)
    own_kms.stop()
    async with opened(data_dir, kms_key_id=arn) as vault:
        await vault.keys.start()
        before = files_of(data_dir)
        with pytest.raises(MasterKeyUnavailable) as trouble:
            await vault.door.append(ORG, thread_id, said("more"))
        assert trouble.value.retry_after_ms > 0
        with pytest.raises(MasterKeyUnavailable):
            await vault.door.create_thread(ORG, request(SECRET), "asst-web")
        assert files_of(data_dir) == before
        page = await vault.door.list_messages(ORG, thread_id, ALL)
        assert isinstance(page.fault, MasterKeyUnavailable)
        assert texts_of(page) == [schema.PLACEHOLDER]
        shown = await done(vault.house.messages(thread_id))
        assert len(shown["data"]) == 1
        plain = await vault.house.thread("plain")
        assert await vault.house.texts(plain) == ["plain"]


async def test_a_client_that_lost_kms_finds_it_again(tmp_path: Path, own_kms: KmsServer) -> None:
    arn = await own_kms.new_key()
    master = KmsMasterKey(arn)
    own_kms.stop()
    with pytest.raises(MasterKeyUnavailable):
        await master.generate({"a": "b"})
    own_kms.start()
    # It has forgotten its keys, and says so: an answer, not a silence.
    with pytest.raises(MasterKeyMissing):
        await master.generate({"a": "b"})
    await master.close()


async def test_a_key_that_kms_does_not_know_is_named(kms: KmsServer, tmp_path: Path) -> None:
    arn = f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555"
    async with opened(tmp_path / "data", kms_key_id=arn) as vault:
        with pytest.raises(MasterKeyMissing, match=arn):
            await vault.door.create_thread(ORG, request(SECRET), "asst-web")


async def test_without_credentials_it_says_so(
    kms: KmsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = await kms.new_key()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    master = KmsMasterKey(arn)
    with pytest.raises(MasterKeyRefused, match="no AWS credentials"):
        await master.generate({"a": "b"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert len((await master.generate({"a": "b"})).key) == 32
    await master.close()


async def test_threads_move_between_a_file_and_kms(kms: KmsServer, tmp_path: Path) -> None:
    data_dir, file = tmp_path / "data", key_file(tmp_path)
    first, second = await kms.new_key(), await kms.new_key()
    async with opened(data_dir, file) as vault:
        thread_id = await vault.thread(SECRET)
    async with opened(data_dir, file, kms_key_id=first) as vault:
        assert (await moved(vault)).moved == 1
        assert stored_key(data_dir).master == first
    async with opened(data_dir, kms_key_id=second) as vault:
        assert await vault.texts(thread_id) == [SECRET]
        assert (await moved(vault)).moved == 1
        assert (await moved(vault)).moved == 0
        assert stored_key(data_dir).master == second
    async with opened(data_dir, file, kms_key_id=second, wrap_with="file") as vault:
        assert (await moved(vault)).moved == 1
    async with opened(data_dir, file) as vault:
        assert await vault.texts(thread_id) == [SECRET]


async def test_a_rewrap_to_a_key_of_no_use_ends_at_once(kms: KmsServer, tmp_path: Path) -> None:
    data_dir, file = tmp_path / "data", key_file(tmp_path)
    async with opened(data_dir, file) as vault:
        for _ in range(20):
            await vault.thread(SECRET)
    arn = f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555"
    async with opened(data_dir, file, kms_key_id=arn) as vault:
        report = RewrapReport()
        with pytest.raises(MasterKeyMissing):
            await rewrap(vault.house.registry, vault.keys.data_keys, report)
        assert (report.moved, report.encrypted) == (0, 8)


async def test_no_log_however_talkative_holds_a_key_or_a_text(
    kms: KmsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arn = await kms.new_key()
    taken: list[bytes] = []
    with caplog.at_level(logging.DEBUG):
        async with opened(tmp_path / "data", kms_key_id=arn, cache_seconds=0) as vault:
            key, _ = await vault.keys.data_keys.new(ORG)
            taken.append(key)
            thread_id = await vault.thread(SECRET)
            assert await vault.texts(thread_id) == [SECRET]
    assert SECRET not in caplog.text
    assert "Plaintext" not in caplog.text
    assert "Response body" not in caplog.text
