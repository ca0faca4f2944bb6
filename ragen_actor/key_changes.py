"""How an API key is made and how it ends: one synced line each in `keys.jsonl`, under its lock."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ragen_actor.key_file import (
    KEY,
    KEYS_FILE,
    REVOCATION,
    Key,
    KeyFile,
    Revocation,
    read_keys,
    token_hash,
)
from storage.durable import DIRECTORY_MODE, Disk
from storage.record import encode

TOKEN_PREFIX = "sk-ragen-"
HASH_PREFIX_CHARS_MIN = 8
NAME_CHARS_MAX = 64
LOCK_SECONDS_MAX = 10.0

_TOKEN_BYTES = 32  # 43 characters in URL-safe base64.
_ORGS = "orgs"
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")


class KeyringError(Exception):
    """A key cannot be made or revoked as asked; nothing was changed, and the text says why."""


def create_key(
    data_dir: Path,
    org: str,
    project: str,
    tier: str,
    name: str,
    now: float,
    *,
    token_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, Key]:
    """Make a key that lasts before its token is known to anybody.

    Any number of processes may do so at once, also while a server runs. The caller has made sure
    that the tier is configured.

    Args:
        data_dir: The data directory; made if it is missing.
        org: Organisation, 1 to 64 of A-Z a-z 0-9 _ and -.
        project: Project, in the same letters.
        tier: Name of its rate limit.
        name: For humans, at most 64 printable characters; may be empty.
        now: Unix seconds.
        token_bytes: Where randomness comes from.

    Returns:
        The token, which is stored nowhere, and the key.

    Raises:
        KeyringError: A name is not as said above, or differs from that of an organisation that
            exists by case alone.
        OSError: The file cannot be written; there is no such key.
    """
    for what, label in (("organisation", org), ("project", project)):
        if not _LABEL.fullmatch(label):
            raise KeyringError(
                f"{what} {label!r:.80} is not 1 to 64 of the characters A-Z a-z 0-9 _ and -"
            )
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise KeyringError(f"the name is not at most {NAME_CHARS_MAX} printable characters")
    token = TOKEN_PREFIX + urlsafe_b64encode(token_bytes(_TOKEN_BYTES)).decode().rstrip("=")
    key = Key(
        hash=token_hash(token),
        org=org,
        project=project,
        tier=tier,
        name=name,
        created_at=int(now),
        hint=_hint(token),
    )
    _make_directory(data_dir)
    with locked(data_dir, create=True) as (disk, descriptor):
        known = _read(disk, descriptor)
        existing = {each.org for each in known.keys.values()} | set(disk.names(_ORGS))
        for other in existing - {org}:
            if other.lower() == org.lower():
                raise KeyringError(
                    f"organisation {org!r} equals the existing {other!r} but for case; "
                    "some file systems do not tell them apart"
                )
        _append(disk, descriptor, known, KEY, known.lines + 1, msgspec.json.encode(key))
    return token, key


def revoke_key(data_dir: Path, which: str, now: float) -> Key:
    """End a key; one that has ended already stays so.

    Args:
        data_dir: The data directory.
        which: The token, its hint as listed, or the first 8 or more characters of its hash.
        now: Unix seconds.

    Raises:
        KeyringError: No key is meant by this, or more than one.
        OSError: The file cannot be written; the key may still be good.
    """
    try:
        with locked(data_dir, create=False) as (disk, descriptor):
            known = _read(disk, descriptor)
            key = _meant(which, known)
            if not key.revoked:
                ending = msgspec.json.encode(Revocation(key.hash, int(now)))
                sequence = known.sequences[key.hash]
                _append(disk, descriptor, known, REVOCATION, sequence, ending)
    except FileNotFoundError:
        raise KeyringError(f"there are no keys in {data_dir}") from None
    return msgspec.structs.replace(key, revoked=True)


def _meant(which: str, known: KeyFile) -> Key:
    digest = token_hash(which)
    prefix = len(which) >= HASH_PREFIX_CHARS_MIN
    matches = [
        key
        for key in known.keys.values()
        if key.hash == digest or key.hint == which or (prefix and key.hash.startswith(which))
    ]
    if not matches:
        raise KeyringError(f"no key is {which!r:.80}; `ragen-actor keys list` shows them")
    live = [key for key in matches if not key.revoked]
    if len(live) > 1:
        several = ", ".join(key.hash[:16] for key in live)
        raise KeyringError(f"{which!r:.80} means more than one key; say which of {several}")
    return live[0] if live else matches[0]


@contextmanager
def locked(data_dir: Path, *, create: bool) -> Iterator[tuple[Disk, int]]:
    """Open the file and keep every other process from changing it for the length of a block."""
    disk = Disk(data_dir)
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        with disk.opened(KEYS_FILE, create=create) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise KeyringError(
                        f"{data_dir / KEYS_FILE} is locked by another process for "
                        f"{LOCK_SECONDS_MAX:.0f} s; try again"
                    ) from None
                time.sleep(0.005)
                continue
            # Someone may have put another file in its place since it was opened.
            if _same_file(descriptor, data_dir / KEYS_FILE):
                yield disk, descriptor
                return


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read(disk: Disk, descriptor: int) -> KeyFile:
    return read_keys(disk.read(descriptor, disk.size(descriptor), 0))


def _append(
    disk: Disk, descriptor: int, known: KeyFile, kind: str, sequence: int, data: bytes
) -> None:
    """Write one line behind the last sound one, and return once it lasts."""
    size, end = disk.size(descriptor), known.sound_bytes
    if end < size:
        torn = disk.read(descriptor, size - end, end)
        disk.write_aside(f"{KEYS_FILE}.torn-{end}", torn)
        disk.truncate(descriptor, end)
    line = encode(kind, sequence, data)
    try:
        disk.write(descriptor, b"\n" + line if known.open_ended else line, end)
        disk.sync(descriptor)
        # Also when the file is not new: who made it may have died before its name was durable.
        disk.sync_directory(".")
    except OSError:
        disk.truncate(descriptor, end)
        raise


def _make_directory(data_dir: Path) -> None:
    """Make the data directory and those above it, durably."""
    data_dir = data_dir.absolute()
    missing = [each for each in (data_dir, *data_dir.parents) if not each.exists()]
    data_dir.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
    for each in missing:
        Disk(each.parent).sync_directory(".")


def _hint(token: str) -> str:
    return f"{token[:8]}...{token[-4:]}"
