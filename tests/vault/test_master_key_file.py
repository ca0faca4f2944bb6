from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragen_actor.vault.errors import MasterKeyFileError, SealBroken
from ragen_actor.vault.master_key import WrappedKey
from ragen_actor.vault.master_key_file import LocalMasterKey, create, load


def test_a_master_key_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    old = os.umask(0)
    try:
        made = create(path, tmp_path / "data")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path, tmp_path / "data").id == made
    assert made.startswith("local-")


def test_a_master_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    create(path, tmp_path / "data")
    before = path.read_bytes()
    with pytest.raises(MasterKeyFileError, match="never overwritten"):
        create(path, tmp_path / "data")
    assert path.read_bytes() == before


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyFileError, match=r"there is no folder .*nowhere; make it"):
        create(tmp_path / "nowhere" / "master.key", tmp_path / "data")


@pytest.mark.parametrize("place", ["data/master.key", "data/orgs/master.key", "link/master.key"])
def test_a_master_key_has_no_place_in_the_data_directory(tmp_path: Path, place: str) -> None:
    data_dir = tmp_path / "data"
    (data_dir / "orgs").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data_dir)
    with pytest.raises(MasterKeyFileError, match="must not lie in the data directory"):
        create(tmp_path / place, data_dir)
    create(tmp_path / "good.key", data_dir)
    (tmp_path / "good.key").rename(tmp_path / place)
    with pytest.raises(MasterKeyFileError, match="must not lie in the data directory"):
        load(tmp_path / place, data_dir)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    create(path, tmp_path / "data")
    path.chmod(mode)
    with pytest.raises(MasterKeyFileError, match="others may read"):
        load(path, tmp_path / "data")


def test_a_damaged_master_key_is_known_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    create(path, tmp_path / "data")
    whole = path.read_text()
    digit = "0" if whole[-2] != "0" else "1"
    for content in (whole[:-2] + digit + "\n", whole[:-9], "", "\xff\n", whole + whole):
        path.write_text(content)
        with pytest.raises(MasterKeyFileError):
            load(path, tmp_path / "data")
    path.unlink()
    with pytest.raises(MasterKeyFileError, match="cannot be read"):
        load(path, tmp_path / "data")


async def test_a_wrapped_key_opens_for_its_own_context_only() -> None:
    master = LocalMasterKey(bytes(range(32)), os.urandom)
    context = {"organisation": "acme", "key": "1"}
    made = await master.generate(context)
    wrapped = WrappedKey(made.master, "1", made.blob)
    assert await master.unwrap(wrapped, context) == made.key
    assert made.key not in made.blob
    for other in ({"organisation": "other", "key": "1"}, {"organisation": "acme", "key": "2"}, {}):
        with pytest.raises(SealBroken):
            await master.unwrap(wrapped, other)
    for place in range(len(made.blob)):
        changed = bytearray(made.blob)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            await master.unwrap(WrappedKey(made.master, "1", bytes(changed)), context)
