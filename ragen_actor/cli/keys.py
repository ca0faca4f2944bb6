"""`ragen-actor keys`: the keys of a data directory, whether or not a server runs on it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime

from msgspec.structs import asdict

from ragen_actor.cli.exit_codes import Exit
from ragen_actor.config import Config
from ragen_actor.keyring import KEYS_FILE, Key, Keyring, KeyringError, create_key, revoke_key

ID_CHARS = 12
"""Characters of a key's hash that the listing shows."""

_COLUMNS = ("ID", "HINT", "ORG", "PROJECT", "TIER", "CREATED", "STATE", "NAME")


def create(arguments: argparse.Namespace, config: Config) -> Exit:
    """Make a key; the token alone goes to standard output."""
    if arguments.tier not in config.tiers:
        raise KeyringError(
            f"tier {arguments.tier!r:.80} is not configured; choose one of "
            f"{', '.join(config.tiers)}, or add it under [tiers] of the configuration"
        )
    token, key = create_key(
        config.storage.data_dir,
        arguments.org,
        arguments.project,
        arguments.tier,
        arguments.name,
        time.time(),
    )
    print(token)
    _tell(f"made {_described(key)}. The key is shown only this once.")
    return Exit.FINE


def list_all(arguments: argparse.Namespace, config: Config) -> Exit:
    """Print every key ever made."""
    keyring = Keyring(config.storage.data_dir / KEYS_FILE)
    keyring.load()
    keys = keyring.keys()
    if arguments.json:
        print(json.dumps([{"id": key.hash[:ID_CHARS], **asdict(key)} for key in keys], indent=2))
    elif keys:
        print(_table([_COLUMNS, *map(_row, keys)]))
    else:
        _tell(
            f"there are no keys in {config.storage.data_dir}; "
            "`ragen-actor keys create --help` says how to make one"
        )
    return Exit.FINE


def revoke(arguments: argparse.Namespace, config: Config) -> Exit:
    """End one key."""
    key = revoke_key(config.storage.data_dir, arguments.key, time.time())
    _tell(f"revoked {_described(key)}. A running server refuses it within a second.")
    return Exit.FINE


def _row(key: Key) -> tuple[str, ...]:
    created = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = "revoked" if key.revoked else "active"
    return (
        key.hash[:ID_CHARS], key.hint, key.org, key.project, key.tier, created, state, key.name
    )  # fmt: skip


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _described(key: Key) -> str:
    return (
        f"key {key.hash[:ID_CHARS]} ({key.hint}) of organisation {key.org}, "
        f"project {key.project}, tier {key.tier}"
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
