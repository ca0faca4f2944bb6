from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from ragen_actor.config import Config, ConfigError, allowed, load_config, setting_type
from ragen_actor.settings import MIB, SECTIONS, TIER_SECTIONS

DOCUMENTED_FILE = Path(__file__).parents[2] / "config.toml"
EVERY_KEY = [
    (section, key) for section, kind in SECTIONS.items() for key in kind.__struct_fields__
] + [(section, tier) for section in TIER_SECTIONS for tier in ("default", "unlimited")]


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def refusal(file: Path | None = None, environ: dict[str, str] | None = None, **options: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ or {}, **options)
    return str(caught.value)


def comment_above(section: str, key: str) -> str:
    """The comment lines that stand directly above a key of the documented file."""
    lines = DOCUMENTED_FILE.read_text().splitlines()
    at = lines.index(f"[{section}]")
    at = next(i for i in range(at + 1, len(lines)) if re.match(rf"{key}\s*=", lines[i]))
    comment: list[str] = []
    while lines[at - 1].startswith("#"):
        at -= 1
        comment.insert(0, lines[at].removeprefix("# "))
    return " ".join(comment)


# The documented file


def test_the_documented_file_equals_the_built_in_defaults() -> None:
    assert load_config(DOCUMENTED_FILE, {}) == Config()


def test_the_documented_file_names_every_key_and_no_other() -> None:
    tables = tomllib.loads(DOCUMENTED_FILE.read_text())

    assert {(s, key) for s, table in tables.items() for key in table} == set(EVERY_KEY)


@pytest.mark.parametrize(("section", "key"), EVERY_KEY)
def test_the_documented_file_tells_unit_bound_default_and_price_of_every_key(
    section: str, key: str
) -> None:
    comment = comment_above(section, key)
    default = tomllib.loads(DOCUMENTED_FILE.read_text())[section][key]
    bound = "0" if key == "unlimited" else allowed(setting_type(section, key))

    assert re.search(r"Unit: \S", comment)
    assert f" Bound: {bound}. Default: {json.dumps(default)}. Price: " in comment
    assert not comment.startswith("Unit:"), "the first sentence says what the key is for"


@pytest.mark.parametrize(("section", "kind"), SECTIONS.items())
def test_every_setting_is_described_in_its_docstring(
    section: str, kind: type[msgspec.Struct]
) -> None:
    described = re.findall(r"^ {8}(\w+): ", kind.__doc__ or "", re.MULTILINE)

    assert described == list(kind.__struct_fields__), section


@pytest.mark.parametrize(("section", "kind"), SECTIONS.items())
def test_every_default_is_within_its_own_bound(section: str, kind: type[msgspec.Struct]) -> None:
    for key in kind.__struct_fields__:
        default = getattr(kind(), key)
        if not isinstance(default, Path):
            assert msgspec.convert(default, setting_type(section, key)) == default


# Where settings come from


def test_without_a_file_the_defaults_hold() -> None:
    assert load_config(None, {}) == Config()


def test_config_toml_of_the_working_directory_is_found(empty_working_directory: Path) -> None:
    (empty_working_directory / "config.toml").write_text("[server]\nport = 9\n")

    assert load_config(None, {}).server.port == 9


def test_a_named_file_is_read_instead_of_the_working_directorys(
    empty_working_directory: Path, toml: Path
) -> None:
    (empty_working_directory / "config.toml").write_text("[server]\nport = 9\n")
    toml.write_text("[log]\nlevel = 'error'\n")

    config = load_config(toml, {})

    assert (config.server.port, config.log.level) == (8080, "error")


def test_the_environment_overrides_the_file_and_the_command_line_both(toml: Path) -> None:
    toml.write_text("[server]\nport = 1\nhost = 'a'\n[storage]\ndata_dir = 'x'\n")
    environ = {"RAGEN_SERVER_PORT": "2", "RAGEN_SERVER_HOST": "b", "PATH": "/bin"}

    config = load_config(toml, environ, port="3", data_dir="/y")

    assert (config.server.port, config.server.host) == (3, "b")
    assert config.storage.data_dir == Path("/y")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("RAGEN_SERVER_ACCESS_LOG", "true", True),
        ("RAGEN_SERVER_KEEPALIVE_SECONDS", "2.5", 2.5),
        ("RAGEN_SERVER_HOST", "fe80::1%eth0", "fe80::1%eth0"),
        ("RAGEN_SERVER_HOST", "box.example.", "box.example."),
        ("RAGEN_SERVER_CORS_ORIGINS", "https://a.example, http://b:1", ("https://a.example", "http://b:1")),
        ("RAGEN_SERVER_CORS_ORIGINS", "", ()),
        ("RAGEN_SERVER_TRUSTED_PROXIES", "10.0.0.1,fd00::/8", ("10.0.0.1", "fd00::/8")),
    ],
)  # fmt: skip
def test_the_environment_can_give_every_kind_of_value(
    variable: str, text: str, value: object
) -> None:
    key = variable.removeprefix("RAGEN_SERVER_").lower()

    assert getattr(load_config(None, {variable: text}).server, key) == value


@pytest.mark.parametrize(("section", "key"), EVERY_KEY)
def test_every_key_can_be_overridden_by_the_environment(section: str, key: str) -> None:
    message = refusal(environ={f"RAGEN_{section}_{key}".upper(): "\0"})

    assert "must be" in message


def test_a_file_may_add_tiers_and_the_environment_change_them(toml: Path) -> None:
    toml.write_text("[tiers]\ngold = 600\n")

    config = load_config(toml, {"RAGEN_TIERS_GOLD": "700", "RAGEN_TIERS_DEFAULT": "60"})

    assert config.tiers == {"default": 60, "unlimited": 0, "gold": 700}


def test_proxies_are_networks_of_one_or_more_addresses() -> None:
    config = load_config(None, {"RAGEN_SERVER_TRUSTED_PROXIES": "10.0.0.1,fd00::/8"})

    assert [str(network) for network in config.server.proxy_networks()] == [
        "10.0.0.1/32",
        "fd00::/8",
    ]


# What is refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[server]\nprot = 1", "[server] prot: no key is called so; did you mean port?"),
        ("[server]\ndata_dir = 'x'", "[server] data_dir: this key belongs under [storage]"),
        ("[log]\nzzz = 1", "[log] zzz: no key is called so; the keys are level"),
        ("[sever]\nport = 1", "[sever]: no section is called so; did you mean server?"),
        ("port = 1", "[port]: no section is called so; the sections are server, storage"),
        ("server = 1", "server must be a table"),
        ("[server]\nport = 65536", "port: must be a whole number from 0 to 65535, not 65536"),
        ("[server]\nport = true", "port: must be a whole number from 0 to 65535, not true"),
        ("[server]\nport = '80'", "port: must be a whole number from 0 to 65535, not '80'"),
        ("[server]\nport = 80.0", "not 80.0"),
        ("[server]\naccess_log = 1", "access_log: must be true or false, not 1"),
        ("[server]\nkeepalive_seconds = nan", "must be a number from 0.1 to 3600, not nan"),
        ("[server]\nkeepalive_seconds = inf", "must be a number from 0.1 to 3600, not inf"),
        ("[server]\nkeepalive_seconds = true", "must be a number from 0.1 to 3600, not true"),
        ("[server]\nhost = ''", "host: must be an address or a host name, not ''"),
        ("[server]\nhost = 'a..b'", "host: must be an address or a host name, not 'a..b'"),
        ("[server]\ncors_origins = '*'", "must be a list of origins"),
        ("[server]\ncors_origins = ['https://a/b']", "must be a list of origins"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']", "has host bits set"),
        ("[server]\ntrusted_proxies = [1]", "must be a list of addresses or networks"),
        ("[storage]\ndata_dir = ''", "data_dir: must be the path of a directory, not ''"),
        ("[storage]\njournal_segment_bytes = 16777217", "a multiple of 4096, not 16777217"),
        ("[log]\nlevel = 'loud'", 'one of "debug", "info", "warning", "error", not \'loud\''),
        ("[tiers]\ndefault = -1", "must be a whole number from 0 to 1000000, not -1"),
        ("[tiers]\nunlimited = 5", "[tiers] unlimited: must stay 0"),
        ("[tiers]\nGold = 5", "[tiers] Gold: a tier is named by 1 to 64 of a-z"),
        ("[server", "is no TOML"),
        (
            "[server]\nport = 1\n[server]\nport = 2",
            "stands further up already: set the value there",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_file_key_and_reason(
    toml: Path, text: str, reason: str
) -> None:
    toml.write_text(text)

    message = refusal(toml)

    assert message.startswith(f"{toml}: ")
    assert reason in message
    assert "\n" not in message


def test_a_file_that_is_missing_or_no_text_is_refused_by_name(tmp_path: Path, toml: Path) -> None:
    assert refusal(toml) == f"{toml}: there is no such file"
    assert refusal(tmp_path).startswith(f"{tmp_path}: cannot be read")
    toml.write_bytes(b"[log]\n# \xff")
    assert refusal(toml) == f"{toml}: is not UTF-8 at byte 8"


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("RAGEN_SERVER_PROT", "1", "did you mean RAGEN_SERVER_PORT?"),
        ("RAGEN_SERVER_PORT", "8e3", "must be a whole number from 0 to 65535, not '8e3'"),
        ("RAGEN_SERVER_PORT", "80.0", "not '80.0'"),
        ("RAGEN_SERVER_PORT", "true", "not 'true'"),
        ("RAGEN_SERVER_PORT", "", "not ''"),
        ("RAGEN_SERVER_ACCESS_LOG", "yes", "must be true or false, not 'yes'"),
        ("RAGEN_TIERS_DEFUALT", "1", "did you mean RAGEN_TIERS_DEFAULT?"),
        ("RAGEN_XYZ", "1", "the settings are listed in config.toml"),
    ],
)
def test_a_wrong_environment_variable_is_refused_by_name(
    variable: str, text: str, reason: str
) -> None:
    message = refusal(environ={variable: text})

    assert message.startswith(f"environment variable {variable}: ")
    assert reason in message


def test_a_wrong_option_is_refused_by_name() -> None:
    assert refusal(port="x").startswith("--port: must be a whole number")
    assert refusal(data_dir="").startswith("--data-dir: must be the path")


@pytest.mark.parametrize(
    ("section", "key", "value", "needed"),
    [
        ("storage", "journal_segment_bytes", 16 * MIB - 4096, "at least twice"),
        ("server", "bodies_bytes_max", MIB, "at least"),
        ("actors", "pending_bytes_max", MIB, "at least"),
    ],
)
def test_what_cannot_hold_a_body_is_refused_with_both_keys(
    toml: Path, section: str, key: str, value: int, needed: str
) -> None:
    toml.write_text(f"[{section}]\n{key} = {value}\n")

    assert refusal(toml) == (
        f"{toml}: [{section}] {key}: [{section}] {key} = {value} must be {needed} "
        f"[server] body_bytes_max = {8 * MIB}"
    )


def test_a_smaller_body_allows_a_smaller_journal() -> None:
    environ = {
        "RAGEN_SERVER_BODY_BYTES_MAX": str(MIB),
        "RAGEN_STORAGE_JOURNAL_SEGMENT_BYTES": str(2 * MIB),
    }

    assert load_config(None, environ).storage.journal_segment_bytes == 2 * MIB
