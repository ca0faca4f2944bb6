"""A master key in a file of its own, for those without a key management service.

The file is one line, `ragen-master-key local-<16 hex digits> <64 hex digits>`: the key's id and the
key. The id is made from the key, so a key that was mistyped or cut is found out before it is used.
The file must be readable by its owner only and lie outside the data directory: a copy of the data
must not carry what opens it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ragen_actor.vault.envelope import KEY_BYTES, NONCE_BYTES
from ragen_actor.vault.errors import MasterKeyFileError, SealBroken
from ragen_actor.vault.master_key import Context, DataKey, WrappedKey

_LINE = re.compile(r"ragen-master-key (local-[0-9a-f]{16}) ([0-9a-f]{64})\n?")
_FILE_BYTES_MAX = 1024


class LocalMasterKey:
    """A master key that this process holds itself.

    Attributes:
        id: `local-` and 16 hex digits, which tell nothing of the key.
    """

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self.id = key_id(key)
        self._cipher = AESGCM(key)
        self._random = random

    async def generate(self, context: Context) -> DataKey:
        """Return a fresh data key."""
        return await self.wrap(self._random(KEY_BYTES), context)

    async def wrap(self, key: bytes, context: Context) -> DataKey:
        """Wrap a data key that exists."""
        nonce = self._random(NONCE_BYTES)
        return DataKey(key, nonce + self._cipher.encrypt(nonce, key, _bound(context)), self.id)

    async def unwrap(self, wrapped: WrappedKey, context: Context) -> bytes:
        """Return a data key.

        Raises:
            SealBroken: It wrapped no such key for this context.
        """
        nonce, ciphertext = wrapped.blob[:NONCE_BYTES], wrapped.blob[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _bound(context))
        except (InvalidTag, ValueError):
            raise SealBroken("The key of this thread") from None


def key_id(key: bytes) -> str:
    """Return the id of a master key."""
    return "local-" + hashlib.sha256(b"ragen-actor master key id\0" + key).hexdigest()[:16]


def create(path: Path, data_dir: Path, random: Callable[[int], bytes] = os.urandom) -> str:
    """Make a master key and the file that holds it, durably; return the key's id.

    Raises:
        MasterKeyFileError: The file exists, or would lie in the data directory.
        OSError: It cannot be written.
    """
    _check_outside(path, data_dir)
    key = random(KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise MasterKeyFileError(
            f"{path}: this file exists already, and a master key is never overwritten"
        ) from None
    except FileNotFoundError:
        raise MasterKeyFileError(
            f"{path}: there is no folder {path.parent}; make it first"
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(f"ragen-master-key {key_id(key)} {key.hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key_id(key)


def load(path: Path, data_dir: Path, random: Callable[[int], bytes] = os.urandom) -> LocalMasterKey:
    """Read a master key from its file.

    Raises:
        MasterKeyFileError: There is none, others may read it, it lies in the data directory, or
            holds no sound key.
    """
    _check_outside(path, data_dir)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise MasterKeyFileError(f"{path}: cannot be read: {error.strerror}") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise MasterKeyFileError(
            f"{path}: others may read this master key: chmod 600 it, and take a new key if others "
            "could use this machine"
        )
    found = _LINE.fullmatch(content.decode("ascii", "replace"))
    if found is None:
        raise MasterKeyFileError(
            f"{path}: this is no master key; `ragen-actor master-key create` makes one"
        )
    key = bytes.fromhex(found[2])
    if found[1] != key_id(key):
        raise MasterKeyFileError(
            f"{path}: this master key is damaged: it is not the one that its id names, {found[1]}"
        )
    return LocalMasterKey(key, random)


def _check_outside(path: Path, data_dir: Path) -> None:
    if path.resolve().is_relative_to(data_dir.resolve()):
        raise MasterKeyFileError(
            f"{path}: a master key must not lie in the data directory, {data_dir}: whoever copies "
            "the data would have the key to it"
        )


def _bound(context: Context) -> bytes:
    return msgspec.json.encode(context, order="sorted")
