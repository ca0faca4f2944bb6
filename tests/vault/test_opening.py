from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ragen_actor.config import Config, ConfigError, Storage, Vault, load_config
from ragen_actor.vault import MasterKeys
from ragen_actor.vault.master_key_file import load
from tests.vault.vault_house import key_file


def keys_of(folder: Path, *files: Path, **settings: str) -> MasterKeys:
    storage = Storage(data_dir=folder / "data")
    return MasterKeys(Config(storage=storage, vault=Vault(master_key_files=files, **settings)))  # type: ignore[arg-type]


def test_the_first_file_wraps(tmp_path: Path) -> None:
    one, two = key_file(tmp_path, "one.key"), key_file(tmp_path, "two.key")
    assert keys_of(tmp_path, two, one).data_keys.wraps_with == load(two, tmp_path / "data").id
    assert keys_of(tmp_path).data_keys.wraps_with is None


def test_of_both_kinds_the_setting_says_which_wraps(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    local = load(file, tmp_path / "data").id
    for wrap_with, expected in (("kms", "alias/x"), ("file", local)):
        keys = keys_of(tmp_path, file, kms_key_id="alias/x", wrap_with=wrap_with)
        assert keys.data_keys.wraps_with == expected
    assert keys_of(tmp_path, kms_key_id="a", wrap_with="file").data_keys.wraps_with == "a"


def test_a_kms_key_without_its_client_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    with pytest.raises(ConfigError, match="with its extra kms"):
        keys_of(tmp_path, kms_key_id="alias/x")
    assert keys_of(tmp_path, key_file(tmp_path)).kms is None


def test_the_kms_key_comes_from_where_awss_tools_have_it_too() -> None:
    assert load_config(None, {"AWS_KMS_KEY_ID": "alias/x"}).vault.kms_key_id == "alias/x"
    both = {"AWS_KMS_KEY_ID": "alias/x", "RAGEN_VAULT_KMS_KEY_ID": "alias/y"}
    assert load_config(None, both).vault.kms_key_id == "alias/y"
    assert load_config(None, {"AWS_KMS_KEY_ID": ""}).vault.kms_key_id == ""
    with pytest.raises(ConfigError, match="AWS_KMS_KEY_ID: must be the id, ARN or alias"):
        load_config(None, {"AWS_KMS_KEY_ID": "not a key"})


def test_key_files_can_be_named_in_the_environment() -> None:
    environ = {"RAGEN_VAULT_MASTER_KEY_FILES": "/etc/new.key, /etc/old.key"}
    files = load_config(None, environ).vault.master_key_files
    assert files == (Path("/etc/new.key"), Path("/etc/old.key"))
