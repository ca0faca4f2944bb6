"""Who may ask: the API keys that a running server accepts."""

from __future__ import annotations

import logging
import os
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from ragen_actor.key_changes import KeyringError, create_key, revoke_key
from ragen_actor.key_file import KEYS_FILE, DamagedLine, Key, read_keys, token_hash

__all__ = [
    "KEYS_FILE",
    "TOKEN_CHARS_MAX",
    "DamagedLine",
    "Key",
    "Keyring",
    "KeyringError",
    "create_key",
    "revoke_key",
]

TOKEN_CHARS_MAX = 512
"""Characters of what a client may send as its key; longer ones are refused before any work."""

_log = logging.getLogger(__name__)


class _Table(NamedTuple):
    """The keys that are accepted: by the hash of their token, and by how clients bear it."""

    live: dict[str, Key]
    found: dict[str, Key]


class Keyring:
    """The keys that a running server accepts, and those it once did.

    `find` and `has_project` are for the event loop. `load` and `refresh` read the whole file, and
    another thread may call them: they put one finished table in the place of the other.

    Args:
        path: The file; one that does not exist holds no keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._file = read_keys(b"")
        self._table = _Table({}, {})
        self._projects: frozenset[tuple[str, str]] = frozenset()

    def load(self) -> None:
        """Read the file.

        Raises:
            OSError: It exists and cannot be read; the keys known so far stay.
        """
        try:
            with self._path.open("rb") as file:
                # Looked at before it is read: what is added meanwhile shows as a change later.
                seen = _identity(os.fstat(file.fileno()))
                content = file.read()
        except FileNotFoundError:
            seen, content = None, b""
        self._file = read_keys(content)
        for damage in self._file.damaged:
            _log.warning(
                "%s:%d: %s; a key on this line is refused", self._path, damage.offset, damage.reason
            )
        keys = self._file.keys.values()
        self._table = _Table({key.hash: key for key in keys if not key.revoked}, {})
        self._projects = frozenset((key.org, key.project) for key in keys)
        self._seen = seen

    def refresh(self) -> bool:
        """Read the file again if it has changed or is another one; cheap if not.

        A file that cannot be read for a moment takes nobody's key away: that is logged, and tried
        again at the next call.

        Returns:
            Whether it was read.
        """
        try:
            try:
                seen = _identity(os.stat(self._path))
            except FileNotFoundError:
                seen = None
            if seen == self._seen:
                return False
            self.load()
        except OSError as error:
            _log.warning("%s: the keys known so far stay: %s", self._path, error.strerror)
            return False
        return True

    def identify(self, credentials: str) -> Key | None:
        """Return the key of `Bearer` and a token that `find` found before; None if it did not.

        It is a shortcut, until the file changes: who gets None asks `find`.
        """
        return self._table.found.get(credentials)

    def find(self, token: str) -> Key | None:
        """Return the key of a token; None for one unknown or revoked.

        The time it takes tells nothing about the tokens that exist: the lookup is by hash.
        """
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            return None
        table = self._table
        digest = token_hash(token)
        key = table.live.get(digest)
        if key is None or not compare_digest(key.hash, digest):
            return None
        table.found[f"Bearer {token}"] = key
        return key

    def in_force(self, key_hash: str) -> Key | None:
        """Return the key of that hash; None for one unknown or revoked."""
        return self._table.live.get(key_hash)

    def has_project(self, org: str, project: str) -> bool:
        """Tell whether any key of the organisation, revoked or not, was made for this project."""
        return (org, project) in self._projects

    def keys(self) -> list[Key]:
        """Return every key ever made, oldest first."""
        return list(self._file.keys.values())

    def damaged(self) -> list[DamagedLine]:
        """Return the lines of the file that cannot be read."""
        return list(self._file.damaged)


def _identity(stat: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is appended to, rewritten, restored or replaced."""
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
