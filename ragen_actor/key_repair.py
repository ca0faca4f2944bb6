"""Repair of the file of API keys: what is unreadable is laid beside it, the rest is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ragen_actor.key_changes import locked
from ragen_actor.key_file import KEY, KEYS_FILE, REVOCATION, KeyFile, Revocation, read_keys
from storage.durable import Disk
from storage.record import encode
from storage.salvage import Deed, keep_aside


def repair_keys(data_dir: Path, now: float) -> Iterator[Deed]:
    """Rewrite the file of keys without its damaged lines; a key that they may have ended stays so.

    Args:
        data_dir: The data directory.
        now: Unix seconds.

    Yields:
        What was done; nothing when the file is sound or there is none.

    Raises:
        KeyringError: Another process changes the file for too long.
        OSError: The disk fails.
    """
    if not (data_dir / KEYS_FILE).exists():
        return
    with locked(data_dir, create=False) as (disk, descriptor):
        content = disk.read(descriptor, disk.size(descriptor), 0)
        known = read_keys(content)
        if not known.damaged:
            return
        for damage in known.damaged:
            yield _kept(disk, content, damage.offset, damage.reason)
        if known.sound_bytes < len(content):
            yield _kept(disk, content, known.sound_bytes, "the last line has no end")
        disk.write_aside(KEYS_FILE, _written(known, int(now)))
        yield Deed(
            KEYS_FILE,
            0,
            f"written anew with {len(known.keys)} keys; see `ragen-actor keys list`: if a damaged "
            "line ended a key of which it does not show any more which, end it again",
        )


def _kept(disk: Disk, content: bytes, offset: int, reason: str) -> Deed:
    end = content.find(b"\n", offset) + 1 or len(content)
    kept = keep_aside(disk, KEYS_FILE, offset, content[offset:end])
    return Deed(KEYS_FILE, offset, f"{reason}: kept as {kept}")


def _written(known: KeyFile, now: int) -> bytes:
    """Return the file with every readable key, each with its end behind it if it has ended."""
    lines: list[bytes] = []
    for key in known.keys.values():
        number = len(lines) + 1
        alive = msgspec.structs.replace(key, revoked=False)
        lines.append(encode(KEY, number, msgspec.json.encode(alive)))
        if key.revoked:
            end = msgspec.json.encode(Revocation(key.hash, now))
            lines.append(encode(REVOCATION, number, end))
    return b"".join(lines)
