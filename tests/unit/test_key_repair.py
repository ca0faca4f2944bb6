"""A repaired file of keys: every readable key opens what it did, and none that has ended does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragen_actor.key_repair import repair_keys
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key, revoke_key
from storage.salvage import Deed


@pytest.fixture
def tokens(tmp_path: Path) -> list[str]:
    """Three keys, of which the second was revoked."""
    made = [create_key(tmp_path, "acme", str(place), "default", "", 1.0)[0] for place in range(3)]
    revoke_key(tmp_path, made[1], 2.0)
    return made


def good(data_dir: Path, tokens: list[str]) -> list[bool]:
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    return [keyring.find(token) is not None for token in tokens]


def flip(data_dir: Path, line: int, place: int) -> bytes:
    lines = (data_dir / KEYS_FILE).read_bytes().splitlines(keepends=True)
    damaged = bytearray(lines[line])
    damaged[place] ^= 1
    lines[line] = bytes(damaged)
    (data_dir / KEYS_FILE).write_bytes(b"".join(lines))
    return lines[line]


def repaired(data_dir: Path) -> list[Deed]:
    deeds = list(repair_keys(data_dir, 3.0))
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    assert keyring.damaged() == []
    before = (data_dir / KEYS_FILE).read_bytes()
    assert list(repair_keys(data_dir, 4.0)) == []
    assert (data_dir / KEYS_FILE).read_bytes() == before
    return deeds


def test_a_sound_file_stays_as_it_is(tmp_path: Path, tokens: list[str]) -> None:
    assert repaired(tmp_path) == []
    assert good(tmp_path, tokens) == [True, False, True]


def test_where_there_are_no_keys_none_are_made(tmp_path: Path) -> None:
    assert list(repair_keys(tmp_path, 1.0)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_key_is_laid_aside_and_the_others_stay(tmp_path: Path, tokens: list[str]) -> None:
    line = flip(tmp_path, 0, 90)
    deeds = repaired(tmp_path)
    assert deeds[0].offset == 0
    assert (tmp_path / f"{KEYS_FILE}.damaged-0").read_bytes() == line
    assert good(tmp_path, tokens) == [False, False, True]


@pytest.mark.parametrize("place", [3, 30, 40, 150])
def test_a_key_that_a_damaged_line_revoked_stays_revoked(
    tmp_path: Path, tokens: list[str], place: int
) -> None:
    assert good(tmp_path, tokens) == [True, False, True]
    flip(tmp_path, 3, place)
    repaired(tmp_path)
    assert good(tmp_path, tokens) == [True, False, True]


def test_a_repaired_file_takes_new_keys_and_revocations(tmp_path: Path, tokens: list[str]) -> None:
    flip(tmp_path, 0, 90)
    repaired(tmp_path)
    another = create_key(tmp_path, "acme", "web", "default", "", 5.0)[0]
    revoke_key(tmp_path, tokens[2], 6.0)
    assert good(tmp_path, [*tokens, another]) == [False, False, False, True]
