"""Read the settings from wherever they stand, and refuse what is unknown or out of bounds.

In rising order of rank: the built-in defaults, a TOML file, the environment
(`RAGEN_SERVER_PORT=9000`), the command line. A name that no setting has is refused everywhere, so
that a misspelt one cannot silently leave a default in force.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from ragen_actor.bounds import allowed, setting_type
from ragen_actor.settings import (
    DEFAULT_TIER,
    SECTIONS,
    TIER_SECTIONS,
    UNLIMITED_TIER,
    Actors,
    Config,
    Dashboard,
    Log,
    Server,
    Storage,
    TierName,
    Upstream,
    Vault,
    default_tiers,
)

__all__ = [
    "DEFAULT_FILE",
    "DEFAULT_TIER",
    "UNLIMITED_TIER",
    "Actors",
    "Config",
    "ConfigError",
    "Dashboard",
    "Log",
    "Server",
    "Storage",
    "Upstream",
    "Vault",
    "allowed",
    "load_config",
    "setting_type",
]

DEFAULT_FILE = Path("config.toml")
"""Read from the working directory, where it exists, when no file is named."""

_PREFIX = "RAGEN_"
_KMS_KEY_ID = "AWS_KMS_KEY_ID"
"""Named by the product page; `RAGEN_VAULT_KMS_KEY_ID` outranks it."""


class ConfigError(Exception):
    """A setting is unknown or wrong; the text names where it stands, the key and the reason."""


class _Setting(NamedTuple):
    """One value as it was given, and its place as an operator would call it."""

    section: str
    key: str
    value: Any
    place: str


def load_config(
    file: Path | None,
    environ: Mapping[str, str],
    *,
    data_dir: str | None = None,
    host: str | None = None,
    port: str | None = None,
) -> Config:
    """Gather the settings.

    Args:
        file: A TOML file; None means `DEFAULT_FILE` where that exists.
        environ: Environment variables; `AWS_KMS_KEY_ID` and all that start with `RAGEN_` are read.
        data_dir: What `--data-dir` said.
        host: What `--host` said.
        port: What `--port` said.

    Raises:
        ConfigError: A file cannot be read, or a setting is unknown or out of its bounds.
    """
    given: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    given |= {section: default_tiers() for section in TIER_SECTIONS}
    places: dict[tuple[str, str], str] = {}

    def take(settings: Iterable[_Setting], *, strict: bool) -> None:
        for setting in settings:
            given[setting.section][setting.key] = _convert(setting, strict=strict)
            places[setting.section, setting.key] = setting.place

    take(_from_file(file), strict=True)
    take(_from_environment(environ, given), strict=False)
    options = {
        ("storage", "data_dir", "--data-dir"): data_dir,
        ("server", "host", "--host"): host,
        ("server", "port", "--port"): port,
    }
    take(
        (
            _Setting(section, key, value, place)
            for (section, key, place), value in options.items()
            if value is not None
        ),
        strict=False,
    )
    config = Config(
        server=Server(**given["server"]),
        storage=Storage(**given["storage"]),
        actors=Actors(**given["actors"]),
        upstream=Upstream(**given["upstream"]),
        dashboard=Dashboard(**given["dashboard"]),
        vault=Vault(**given["vault"]),
        log=Log(**given["log"]),
        tiers=given["tiers"],
        generation_tiers=given["generation_tiers"],
    )
    _check_together(config, places)
    return config


def _from_file(file: Path | None) -> Iterator[_Setting]:
    if file is None:
        if not DEFAULT_FILE.exists():
            return
        file = DEFAULT_FILE
    for section, table in _read(file).items():
        if section not in _sections():
            raise ConfigError(f"{file}: [{section}]: {_unknown(section, _sections(), 'section')}")
        if not isinstance(table, dict):
            raise ConfigError(
                f"{file}: {section} must be a table: write [{section}] above its keys"
            )
        for key, value in table.items():
            place = f"{file}: [{section}] {key}"
            if section in TIER_SECTIONS:
                _check_tier_name(key, place)
            elif key not in _keys(section):
                elsewhere = [other for other in SECTIONS if key in _keys(other)]
                reason = (
                    f"this key belongs under [{elsewhere[0]}]"
                    if elsewhere
                    else _unknown(key, _keys(section), "key")
                )
                raise ConfigError(f"{place}: {reason}")
            yield _Setting(section, key, value, place)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is no TOML: {error}{_hint(error)}") from None


def _hint(error: tomllib.TOMLDecodeError) -> str:
    twice = "twice" in str(error) or "overwrite" in str(error)
    return "; it stands further up already: set the value there" if twice else ""


def _from_environment(
    environ: Mapping[str, str], given: Mapping[str, Iterable[str]]
) -> Iterator[_Setting]:
    names = {
        f"{_PREFIX}{section}_{key}".upper(): (section, key)
        for section in SECTIONS
        for key in _keys(section)
    }
    # A variable changes a tier's rate but makes no tier: a misspelt one would go unnoticed.
    names |= {
        f"{_PREFIX}{section}_{tier}".upper(): (section, tier)
        for section in TIER_SECTIONS
        for tier in given[section]
    }
    if _KMS_KEY_ID in environ:
        place = f"environment variable {_KMS_KEY_ID}"
        yield _Setting("vault", "kms_key_id", environ[_KMS_KEY_ID], place)
    for name in sorted(environ):
        if not name.startswith(_PREFIX):
            continue
        place = f"environment variable {name}"
        if name not in names:
            raise ConfigError(f"{place}: {_unknown(name, names, 'setting')}")
        section, key = names[name]
        yield _Setting(section, key, environ[name], place)


def _convert(setting: _Setting, *, strict: bool) -> Any:
    kind, value = setting_type(setting.section, setting.key), setting.value
    match inspect.type_info(kind):
        case inspect.VarTupleType() if not strict:
            value = [item.strip() for item in value.split(",") if item.strip()]
        case inspect.IntType() if not strict:
            # Left to itself the conversion would also take 8e3, 80.0 and -0.
            strict = not (value.isascii() and value.isdigit())
    try:
        converted = msgspec.convert(value, kind, strict=strict, dec_hook=_directory)
        if setting.key == "trusted_proxies":
            Server(trusted_proxies=converted).proxy_networks()
    except ValueError as error:
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        reason = "" if isinstance(error, msgspec.ValidationError) else f" ({error})"
        raise ConfigError(
            f"{setting.place}: must be {allowed(kind)}, not {shown:.200}{reason}"
        ) from None
    if setting.section in TIER_SECTIONS and setting.key == UNLIMITED_TIER and converted != 0:
        raise ConfigError(f"{setting.place}: must stay 0, which means no limit, not {converted}")
    return converted


def _directory(_kind: type, value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path is a string that is not empty")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _check_tier_name(name: str, place: str) -> None:
    try:
        msgspec.convert(name, TierName)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{place}: a tier is named by 1 to 64 of a-z, 0-9 and _, a letter first"
        ) from None


def _check_together(config: Config, places: Mapping[tuple[str, str], str]) -> None:
    """Check what no setting can be checked for alone, naming both and where they stand."""
    for tier in config.generation_tiers:
        if tier not in config.tiers:
            place = places["generation_tiers", tier]
            raise ConfigError(f"{place}: {_unknown(tier, config.tiers, 'tier')}")
    body = ("server", "body_bytes_max", config.server.body_bytes_max)
    for section, key, value, factor in (
        # A body becomes one batch, and a batch must fit a segment beside what frames it.
        ("storage", "journal_segment_bytes", config.storage.journal_segment_bytes, 2),
        # A body that no empty server could take in would be answered 503 for ever.
        ("server", "bodies_bytes_max", config.server.bodies_bytes_max, 1),
        ("actors", "pending_bytes_max", config.actors.pending_bytes_max, 1),
    ):
        if value < factor * body[2]:
            given = [places[pair] for pair in ((section, key), body[:2]) if pair in places]
            times = "twice " if factor == 2 else ""
            raise ConfigError(
                f"{' and '.join(given)}: [{section}] {key} = {value} must be at least "
                f"{times}[server] body_bytes_max = {body[2]}"
            )


def _keys(section: str) -> tuple[str, ...]:
    return SECTIONS[section].__struct_fields__


def _sections() -> list[str]:
    return [*SECTIONS, *TIER_SECTIONS]


def _unknown(name: str, names: Iterable[str], noun: str) -> str:
    names = list(names)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"no {noun} is called so; did you mean {close[0]}?"
    listed = ", ".join(names) if len(names) < 20 else "listed in config.toml"
    return f"no {noun} is called so; the {noun}s are {listed}"
