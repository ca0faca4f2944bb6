from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragen_actor import __version__
from ragen_actor.cli import Exit, main
from ragen_actor.cli.check import progress
from ragen_actor.keyring import KEYS_FILE, Keyring

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"sk-ragen-[A-Za-z0-9_-]{43}")
SECONDS_MAX = 20.0


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RAGEN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


class Ran:
    """A command that has ended: its exit code and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


def made(data_dir: Path, ran: Callable[..., Ran], org: str = "acme") -> str:
    return ran(
        "keys", "create", "--org", org, "--project", "web", "--data-dir", str(data_dir)
    ).out.strip()


def find(data_dir: Path, token: str) -> bool:
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    return keyring.find(token) is not None


# Keys


def test_a_new_key_alone_goes_to_standard_output(data_dir: Path, ran: Callable[..., Ran]) -> None:
    words = ["--org", "acme", "--project", "web", "--tier", "unlimited", "--name", "night job"]

    made = ran("keys", "create", *words, "--data-dir", str(data_dir))

    assert made.code == Exit.FINE
    assert TOKEN.fullmatch(made.out.removesuffix("\n"))
    assert "organisation acme, project web, tier unlimited" in made.err
    assert made.out.strip() not in made.err
    assert find(data_dir, made.out.strip())


def test_the_data_directory_of_the_configuration_is_used_without_an_option(
    tmp_path: Path, ran: Callable[..., Ran]
) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[storage]\ndata_dir = 'elsewhere'\n[tiers]\ngold = 600\n")

    made = ran(
        "keys", "create", "--org", "a", "--project", "p", "--tier", "gold", "--config", str(file)
    )

    assert made.code == Exit.FINE
    assert find(tmp_path / "elsewhere", made.out.strip())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--tier", "gold"], "tier 'gold' is not configured; choose one of default, unlimited"),
        (["--org", "a/b"], "organisation 'a/b' is not 1 to 64 of the characters"),
        (["--project", ""], "project '' is not 1 to 64 of the characters"),
        (["--name", "\a"], "the name is not at most 64 printable characters"),
    ],
)
def test_a_key_that_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    data_dir: Path, ran: Callable[..., Ran], words: list[str], reason: str
) -> None:
    base = ["keys", "create", "--org", "acme", "--project", "web", "--data-dir", str(data_dir)]

    refused = ran(*base, *words)

    assert (refused.code, refused.out) == (Exit.USAGE, "")
    assert refused.err.startswith(f"ragen-actor: {reason}")
    assert refused.err.count("\n") == 1
    assert not data_dir.exists()


def test_an_organisation_that_differs_by_case_alone_is_refused(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    made(data_dir, ran, "acme")

    refused = ran("keys", "create", "--org", "ACME", "--project", "p", "--data-dir", str(data_dir))

    assert refused.code == Exit.USAGE
    assert "equals the existing 'acme' but for case" in refused.err


def test_keys_are_listed_without_what_opens_anything(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    first, second = made(data_dir, ran), made(data_dir, ran, "globex")
    ran("keys", "revoke", first, "--data-dir", str(data_dir))

    table = ran("keys", "list", "--data-dir", str(data_dir)).out
    listed = json.loads(ran("keys", "list", "--json", "--data-dir", str(data_dir)).out)

    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["ID", "HINT", "ORG", "PROJECT", "TIER", "CREATED", "STATE", "NAME"]
    assert [row[1:5] + row[6:7] for row in rows[1:]] == [
        [f"sk-ragen...{first[-4:]}", "acme", "web", "default", "revoked"],
        [f"sk-ragen...{second[-4:]}", "globex", "web", "default", "active"],
    ]
    assert [row[0] for row in rows[1:]] == [key["id"] for key in listed]
    assert [(key["org"], key["revoked"]) for key in listed] == [("acme", True), ("globex", False)]
    assert first not in table


def test_without_keys_the_listing_says_how_to_make_one(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    listed = ran("keys", "list", "--data-dir", str(data_dir))

    assert (listed.code, listed.out) == (Exit.FINE, "")
    assert "ragen-actor keys create" in listed.err
    assert json.loads(ran("keys", "list", "--json", "--data-dir", str(data_dir)).out) == []
    assert not data_dir.exists()


def test_a_key_is_revoked_by_the_id_that_the_listing_shows(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    token = made(data_dir, ran)
    key_id = ran("keys", "list", "--data-dir", str(data_dir)).out.splitlines()[1].split()[0]

    revoked = ran("keys", "revoke", key_id, "--data-dir", str(data_dir))

    assert revoked.code == Exit.FINE
    assert f"revoked key {key_id}" in revoked.err
    assert not find(data_dir, token)


def test_revoking_what_is_no_key_is_refused(data_dir: Path, ran: Callable[..., Ran]) -> None:
    refused = ran("keys", "revoke", "sk-ragen...abcd", "--data-dir", str(data_dir))

    assert (refused.code, refused.out) == (Exit.USAGE, "")
    assert "there are no keys in" in refused.err


# Words and mistakes


def test_the_version_is_told(ran: Callable[..., Ran]) -> None:
    assert ran("--version").out == f"ragen-actor {__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["serve", "keys", "check", "exit codes", "config.toml", "RAGEN_SERVER_PORT=9000"]),
        (["serve"], ["127.0.0.1", "8080", "--data-dir", "examples", "exit codes", "/readyz"]),
        (["keys"], ["create", "list", "revoke", "within a second"]),
        (["keys", "create"], ["1 to 64 of", "default: default", "examples", "exit codes"]),
        (["keys", "list"], ["--json", "hint"]),
        (["keys", "revoke"], ["KEY-OR-HINT", "examples"]),
        (["check"], ["path:offset: reason; hint", "Nothing is changed", "exit codes"]),
        (["check"], ["--repair", "FILE.damaged-OFFSET", "must be stopped", "cp -a data"]),
        (["compact"], ["--now", "control.sock", "no write is lost", "Backups", "exit codes"]),
    ],
)
def test_every_command_explains_itself(
    ran: Callable[..., Ran], words: list[str], told: list[str]
) -> None:
    helped = ran(*words, "--help")

    assert helped.code == Exit.FINE
    for text in told:
        assert text in " ".join(helped.out.split())


def test_every_exit_code_is_explained_by_the_help(ran: Callable[..., Ran]) -> None:
    text = ran("--help").out

    for code in Exit:
        assert re.search(rf"^  {code:d} +{re.escape(code.meaning)}$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "words", [[], ["frob"], ["keys"], ["keys", "create"], ["serve", "--prot", "1"]]
)
def test_a_word_that_is_wrong_or_missing_is_a_usage_error(
    ran: Callable[..., Ran], words: list[str]
) -> None:
    wrong = ran(*words)

    assert wrong.code == Exit.USAGE
    assert "usage: ragen-actor" in wrong.err


def test_a_wrong_setting_is_told_in_one_line(
    ran: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran("serve", "--port", "x").code == Exit.USAGE
    monkeypatch.setenv("RAGEN_SERVER_PROT", "1")

    wrong = ran("keys", "list")

    assert (wrong.code, wrong.err) == (
        Exit.USAGE,
        "ragen-actor: environment variable RAGEN_SERVER_PROT: no setting is called so; "
        "did you mean RAGEN_SERVER_PORT?\n",
    )


def test_a_path_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, ran: Callable[..., Ran]
) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "data")

    failed = ran("keys", "create", "--org", "a", "--project", "p", "--data-dir", path)

    assert (failed.code, failed.err) == (Exit.FAILED, f"ragen-actor: {path}: Not a directory\n")


def test_a_reader_that_has_had_enough_is_told_nothing(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    made(data_dir, ran)
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [sys.executable, "-m", "ragen_actor", "keys", "list", "--data-dir", str(data_dir)],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=SECONDS_MAX,
    )
    os.close(writing)

    assert (ended.returncode, ended.stderr) == (Exit.FAILED, "")


# Check


def test_checking_what_is_no_directory_is_a_usage_error_and_makes_none(
    data_dir: Path, ran: Callable[..., Ran]
) -> None:
    assert ran("check", "--data-dir", str(data_dir)).code == Exit.USAGE
    assert not data_dir.exists()


def test_progress_is_shown_on_a_terminal_at_most_once_a_percent() -> None:
    terminal = io.StringIO()
    show = progress(terminal)

    for done in range(0, 100_001, 10):
        show(done, 100_000)

    assert terminal.getvalue().count("\r") == 101
    assert terminal.getvalue().endswith("checked 100,000 of 100,000 bytes (100 %)")
