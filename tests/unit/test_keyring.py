from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragen_actor.key_file import read_keys, token_hash
from ragen_actor.keyring import KEYS_FILE, Key, Keyring, KeyringError, create_key, revoke_key
from storage.durable import Disk
from storage.record import encode, parse

ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000.5


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keyring(data_dir: Path) -> Keyring:
    return Keyring(data_dir / KEYS_FILE)


def make(data_dir: Path, org: str = "acme", project: str = "web", **more: str) -> tuple[str, Key]:
    return create_key(
        data_dir, org, project, more.get("tier", "default"), more.get("name", ""), NOW
    )


def loaded(data_dir: Path) -> Keyring:
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    return keyring


def listed(keyring: Keyring) -> list[Key]:
    return keyring.keys()


def damage(file: Path, at: int, byte: bytes = b"\xff") -> None:
    content = bytearray(file.read_bytes())
    content[at : at + 1] = byte
    file.write_bytes(content)


# Keys


def test_a_new_key_is_found_by_its_token(data_dir: Path) -> None:
    token, key = make(data_dir, name="phone app")

    assert re.fullmatch(r"sk-ragen-[A-Za-z0-9_-]{43}", token)
    assert loaded(data_dir).find(token) == key
    assert (key.org, key.project, key.tier, key.name) == ("acme", "web", "default", "phone app")
    assert (key.created_at, key.hint) == (1_700_000_000, f"sk-ragen...{token[-4:]}")
    assert not key.revoked


def test_the_token_itself_is_stored_nowhere(data_dir: Path) -> None:
    token, _ = make(data_dir)

    assert token.encode() not in (data_dir / KEYS_FILE).read_bytes()


def test_the_file_is_one_record_a_line_and_readable_by_its_owner_alone(data_dir: Path) -> None:
    _, first = make(data_dir)
    make(data_dir)
    revoke_key(data_dir, first.hash, NOW + 9)

    lines = (data_dir / KEYS_FILE).read_bytes().splitlines(keepends=True)
    records = [parse(line) for line in lines]

    assert [(record.kind, record.sequence) for record in records] == [("k", 1), ("k", 2), ("z", 1)]
    assert json.loads(records[0].data) == {
        "hash": first.hash,
        "org": "acme",
        "project": "web",
        "tier": "default",
        "name": "",
        "created_at": 1_700_000_000,
        "hint": first.hint,
    }
    assert json.loads(records[2].data) == {"hash": first.hash, "revoked_at": 1_700_000_009}
    assert stat.S_IMODE((data_dir / KEYS_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_a_stored_key_with_a_field_of_a_later_version_is_read(data_dir: Path) -> None:
    _, key = make(data_dir)
    stored = {"hash": "f" * 64, "org": "o", "project": "p", "tier": "t", "name": ""}
    stored |= {"created_at": 1, "hint": "h", "later": 1}  # type: ignore[dict-item]
    with (data_dir / KEYS_FILE).open("ab") as file:
        file.write(encode("k", 2, json.dumps(stored).encode()))

    assert [key.hash for key in listed(loaded(data_dir))] == [key.hash, "f" * 64]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "sk-ragen-",
        "sk-ragen-" + "A" * 43,
        "sk-ragen-" + "A" * 100_000,
        "clé",
        "\udcff\x00",
    ],
)
def test_a_token_nobody_was_given_finds_nothing(data_dir: Path, token: str) -> None:
    make(data_dir)

    assert loaded(data_dir).find(token) is None


def test_neither_the_hash_nor_the_hint_of_a_key_opens_anything(data_dir: Path) -> None:
    _, key = make(data_dir)

    assert loaded(data_dir).find(key.hash) is None
    assert loaded(data_dir).find(key.hint) is None


def test_without_a_file_there_are_no_keys(keyring: Keyring) -> None:
    keyring.load()

    assert keyring.keys() == []
    assert keyring.find("sk-ragen-x") is None
    assert keyring.refresh() is False


@pytest.mark.parametrize("label", ["", "a b", "a/b", "..", "é", "a" * 65, "a\n", "a\0"])
def test_an_organisation_or_project_that_is_no_folder_name_is_refused(
    data_dir: Path, label: str
) -> None:
    with pytest.raises(KeyringError, match=r"^organisation .* is not 1 to 64"):
        make(data_dir, org=label)
    with pytest.raises(KeyringError, match=r"^project .* is not 1 to 64"):
        make(data_dir, project=label)
    assert not data_dir.exists()


@pytest.mark.parametrize("name", ["a" * 65, "bell\a", "line\n", "\udcff"])
def test_a_name_that_would_spoil_a_listing_is_refused(data_dir: Path, name: str) -> None:
    with pytest.raises(KeyringError, match="64 printable"):
        make(data_dir, name=name)


def test_an_organisation_that_equals_another_but_for_case_is_refused(data_dir: Path) -> None:
    make(data_dir, org="acme")
    (data_dir / "orgs" / "Folder").mkdir(parents=True)

    with pytest.raises(KeyringError, match="'Acme' equals the existing 'acme' but for case"):
        make(data_dir, org="Acme")
    with pytest.raises(KeyringError, match="'folder' equals the existing 'Folder'"):
        make(data_dir, org="folder")
    assert make(data_dir, org="acme")[1].org == "acme"
    assert make(data_dir, org="Folder")[1].org == "Folder"


def test_a_project_is_one_that_any_key_of_the_organisation_was_made_for(data_dir: Path) -> None:
    _, key = make(data_dir, org="acme", project="old")
    make(data_dir, org="globex", project="depot")
    revoke_key(data_dir, key.hash, NOW)
    keyring = loaded(data_dir)

    assert keyring.has_project("acme", "old")
    assert keyring.has_project("globex", "depot")
    assert not keyring.has_project("acme", "depot")


# Revocation


def test_a_revoked_key_opens_nothing_and_stays_listed(data_dir: Path) -> None:
    token, _ = make(data_dir)
    other, _ = make(data_dir)

    assert revoke_key(data_dir, token, NOW).revoked

    keyring = loaded(data_dir)
    assert keyring.find(token) is None
    assert keyring.find(other) is not None
    assert [key.revoked for key in listed(keyring)] == [True, False]


@pytest.mark.parametrize("form", ["token", "hint", "hash", "start of the hash"])
def test_a_key_can_be_named_by(data_dir: Path, form: str) -> None:
    token, key = make(data_dir)
    names = {"token": token, "hint": key.hint, "hash": key.hash, "start of the hash": key.hash[:8]}

    assert revoke_key(data_dir, names[form], NOW).hash == key.hash


def test_revoking_twice_writes_once(data_dir: Path) -> None:
    token, _ = make(data_dir)
    first = revoke_key(data_dir, token, NOW)
    content = (data_dir / KEYS_FILE).read_bytes()

    assert revoke_key(data_dir, token, NOW + 1) == first
    assert (data_dir / KEYS_FILE).read_bytes() == content


def test_what_names_no_key_or_several_is_refused(data_dir: Path) -> None:
    with pytest.raises(KeyringError, match="there are no keys"):
        revoke_key(data_dir, "anything", NOW)
    assert not data_dir.exists()

    same_end = iter([b"\1" + bytes(31), b"\2" + bytes(31)])
    for _ in range(2):
        create_key(data_dir, "a", "p", "t", "", NOW, token_bytes=lambda _: next(same_end))
    hint = loaded(data_dir).keys()[0].hint
    with pytest.raises(KeyringError, match="means more than one key"):
        revoke_key(data_dir, hint, NOW)
    for nobody in ("", "abc", "f" * 64, "é", "\udcff"):
        with pytest.raises(KeyringError, match="no key is"):
            revoke_key(data_dir, nobody, NOW)
    assert not any(key.revoked for key in listed(loaded(data_dir)))


# A running server


def test_a_running_server_sees_new_and_revoked_keys(data_dir: Path, keyring: Keyring) -> None:
    keyring.load()
    token, _ = make(data_dir)
    assert keyring.find(token) is None

    assert keyring.refresh() is True
    assert keyring.find(token) is not None
    assert keyring.refresh() is False

    revoke_key(data_dir, token, NOW)
    assert keyring.refresh() is True
    assert keyring.find(token) is None


def test_a_restored_file_counts_at_once(data_dir: Path, keyring: Keyring) -> None:
    file = data_dir / KEYS_FILE
    early, _ = make(data_dir)
    backup = file.read_bytes()
    late, _ = make(data_dir)
    keyring.load()

    file.write_bytes(backup)
    assert keyring.refresh() is True
    assert keyring.find(early) is not None
    assert keyring.find(late) is None

    aside = data_dir / "restored"
    aside.write_bytes(b"")
    aside.replace(file)
    assert keyring.refresh() is True
    assert keyring.find(early) is None


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(
    data_dir: Path, keyring: Keyring
) -> None:
    file = data_dir / KEYS_FILE
    make(data_dir)
    keyring.load()
    other_dir = data_dir.parent / "other"
    token, _ = make(other_dir)
    was, other = file.stat(), other_dir / KEYS_FILE
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert other.stat().st_size == was.st_size

    other.replace(file)

    assert keyring.refresh() is True
    assert keyring.find(token) is not None


def test_a_file_taken_away_takes_its_keys_with_it(data_dir: Path, keyring: Keyring) -> None:
    token, _ = make(data_dir)
    keyring.load()
    (data_dir / KEYS_FILE).unlink()

    assert keyring.refresh() is True
    assert keyring.find(token) is None


def test_a_file_that_cannot_be_read_for_a_moment_takes_nobodys_key(
    data_dir: Path, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    file = data_dir / KEYS_FILE
    token, _ = make(data_dir)
    keyring.load()
    file.rename(data_dir / "away")
    file.mkdir()

    assert keyring.refresh() is False
    assert keyring.find(token) is not None
    assert "the keys known so far stay" in caplog.text

    file.rmdir()
    (data_dir / "away").rename(file)
    assert keyring.refresh() is True


# Damage


@pytest.fixture
def three(data_dir: Path) -> Iterator[tuple[Path, list[str], list[int]]]:
    """A file of three keys: its path, their tokens, and where each line starts."""
    file, tokens, starts = data_dir / KEYS_FILE, [], []
    for number in range(3):
        starts.append(file.stat().st_size if file.exists() else 0)
        tokens.append(make(data_dir, project=f"p{number}")[0])
    yield file, tokens, starts


def test_one_damaged_byte_anywhere_in_a_line_costs_that_key_alone(
    three: tuple[Path, list[str], list[int]],
) -> None:
    file, tokens, starts = three
    content = file.read_bytes()
    for at in range(starts[1], starts[2]):
        for byte in (b"\xff", b"\n", b"0"):
            if content[at : at + 1] != byte:
                read = read_keys(content[:at] + byte + content[at + 1 :])
                assert list(read.keys) == [token_hash(tokens[0]), token_hash(tokens[2])], at
                assert not any(key.revoked for key in read.keys.values()), at
                assert read.damaged[0].offset == starts[1], at


def test_damage_is_logged_with_path_and_offset(
    three: tuple[Path, list[str], list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    file, tokens, starts = three
    damage(file, starts[1] + 100)

    keyring = loaded(file.parent)

    assert [keyring.find(token) is not None for token in tokens] == [True, False, True]
    assert f"{file}:{starts[1]}: the checksum does not match" in caplog.text


def test_one_damaged_byte_anywhere_in_a_revocation_brings_no_key_back(data_dir: Path) -> None:
    file = data_dir / KEYS_FILE
    _, revoked = make(data_dir)
    _, other = make(data_dir)
    start = file.stat().st_size
    revoke_key(data_dir, revoked.hash, NOW)
    end = file.stat().st_size
    _, last = make(data_dir)
    content = file.read_bytes()
    for at in range(start, end):
        keys = read_keys(content[:at] + b"\xff" + content[at + 1 :]).keys
        assert keys[revoked.hash].revoked, at
        assert not keys[other.hash].revoked, at
        assert not keys[last.hash].revoked, at


def test_a_damaged_last_revocation_brings_no_key_back_even_after_the_next_append(
    data_dir: Path,
) -> None:
    file = data_dir / KEYS_FILE
    token, _ = make(data_dir)
    revoke_key(data_dir, token, NOW)
    damage(file, file.stat().st_size - 1)

    assert loaded(data_dir).find(token) is None
    other, _ = make(data_dir)
    assert loaded(data_dir).find(token) is None
    assert loaded(data_dir).find(other) is not None


def test_a_line_torn_anywhere_by_a_crash_is_no_damage_and_is_kept_beside_the_file(
    three: tuple[Path, list[str], list[int]],
) -> None:
    file, tokens, starts = three
    content = file.read_bytes()
    for length in range(starts[2] + 1, len(content) - 1):
        file.write_bytes(content[:length])
        keyring = loaded(file.parent)
        found = [keyring.find(token) is not None for token in tokens]
        assert (found, keyring.damaged()) == ([True, True, False], []), length

    token, _ = make(file.parent)

    keyring = loaded(file.parent)
    assert all(keyring.find(each) is not None for each in (tokens[0], tokens[1], token))
    assert keyring.damaged() == []
    torn = file.with_name(f"{KEYS_FILE}.torn-{starts[2]}")
    assert torn.read_bytes() == content[starts[2] : -2]


def test_a_last_line_without_its_newline_is_good_and_completed_by_the_next(
    three: tuple[Path, list[str], list[int]],
) -> None:
    file, tokens, _ = three
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert loaded(file.parent).find(tokens[2]) is not None

    token, _ = make(file.parent)

    keyring = loaded(file.parent)
    assert all(keyring.find(each) is not None for each in [*tokens, token])
    assert file.read_bytes().startswith(content)


def test_zeros_that_a_power_cut_left_at_the_end_are_a_torn_line(data_dir: Path) -> None:
    token, _ = make(data_dir)
    with (data_dir / KEYS_FILE).open("ab") as file:
        file.write(bytes(100))

    other, _ = make(data_dir)

    keyring = loaded(data_dir)
    assert keyring.find(token) is not None
    assert keyring.find(other) is not None
    assert keyring.damaged() == []


def test_a_key_whose_line_could_not_be_synced_is_not_there(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data_dir)
    content = (data_dir / KEYS_FILE).read_bytes()

    def fail(disk: Disk, descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Disk, "sync", fail)
        with pytest.raises(OSError, match="Input/output error"):
            make(data_dir)

    assert (data_dir / KEYS_FILE).read_bytes() == content


def test_a_key_is_synced_before_its_token_is_known(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []

    def noting(method: str) -> Callable[..., None]:
        real = getattr(Disk, method)

        def call(*arguments: object) -> None:
            real(*arguments)
            file = data_dir / KEYS_FILE
            calls.append((method, file.stat().st_size if file.exists() else 0))

        return call

    for method in ("write", "sync", "sync_directory"):
        monkeypatch.setattr(Disk, method, noting(method))
    make(data_dir)
    size = (data_dir / KEYS_FILE).stat().st_size

    assert calls == [
        ("sync_directory", 0),  # The data directory's own name.
        ("write", size),
        ("sync", size),
        ("sync_directory", size),
    ]


# Several processes

MAKE_TEN = """
import sys
from pathlib import Path
from ragen_actor.key_file import read_keys, token_hash
from ragen_actor.keyring import create_key
for number in range(10):
    print(create_key(Path(sys.argv[1]), "acme", sys.argv[2], "default", "", 1.0)[0])
"""


def test_processes_that_make_keys_at_once_lose_none(data_dir: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_TEN, str(data_dir), f"p{number}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    tokens = [token for each in processes for token in each.communicate(timeout=60)[0].split()]

    keyring = loaded(data_dir)

    assert len(set(tokens)) == 40
    assert all(keyring.find(token) is not None for token in tokens)
    assert keyring.damaged() == []
    records = [parse(line) for line in (data_dir / KEYS_FILE).read_bytes().splitlines(True)]
    assert [record.sequence for record in records] == list(range(1, 41))


def test_a_lock_that_another_process_keeps_is_waited_for_within_a_bound(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data_dir)
    content = (data_dir / KEYS_FILE).read_bytes()
    monkeypatch.setattr("ragen_actor.key_changes.LOCK_SECONDS_MAX", 0.0)

    with (data_dir / KEYS_FILE).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(KeyringError, match="is locked by another process"):
            make(data_dir)

    assert (data_dir / KEYS_FILE).read_bytes() == content


def test_a_file_restored_while_a_key_waits_for_its_lock_gets_the_key(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = data_dir / KEYS_FILE
    kept, _ = make(data_dir)
    (data_dir / "restored").write_bytes(file.read_bytes())
    lost, _ = make(data_dir)
    real = fcntl.flock
    replaced: list[Path] = []

    def replace_then_lock(descriptor: int, operation: int) -> None:
        if not replaced:
            replaced.append((data_dir / "restored").replace(file))
        real(descriptor, operation)

    monkeypatch.setattr("ragen_actor.key_changes.fcntl.flock", replace_then_lock)
    token, _ = make(data_dir)

    found = [loaded(data_dir).find(each) is not None for each in (kept, lost, token)]
    assert found == [True, False, True]


def test_a_line_of_another_kind_is_damage(data_dir: Path) -> None:
    make(data_dir)
    with (data_dir / KEYS_FILE).open("ab") as file:
        file.write(encode("m", 2, b"{}") + encode("k", 3, b"{}"))

    assert [damage.reason for damage in loaded(data_dir).damaged()] == [
        "a line of kind m has no place among keys",
        "Object missing required field `hash`",
    ]
