"""The vault as the settings describe it."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ragen_actor.config import Config, ConfigError
from ragen_actor.vault import master_key_file
from ragen_actor.vault.data_keys import DataKeys
from ragen_actor.vault.master_key import MasterKey

if TYPE_CHECKING:
    from ragen_actor.vault.kms import KmsMasterKey


class MasterKeys:
    """Every master key that the settings name; no network is needed to have them.

    Either the KMS key or the first key file wraps new data keys. All of them unwrap, and where a
    KMS key is set, so does every other one that the server's credentials may use.

    Attributes:
        data_keys: What they wrap.
        kms: The key management service; None where no key of it is set.

    Raises:
        MasterKeyFileError: A key file cannot be used.
        ConfigError: A KMS key is set, and its client is not installed.
    """

    def __init__(self, config: Config) -> None:
        settings, data_dir = config.vault, config.storage.data_dir
        files = [master_key_file.load(path, data_dir) for path in settings.master_key_files]
        self.kms = _kms(settings.kms_key_id) if settings.kms_key_id else None
        wrapping: MasterKey | None = files[0] if files else None
        wraps_with = files[0].id if files else None
        if self.kms is not None and (wrapping is None or settings.wrap_with == "kms"):
            wrapping, wraps_with = self.kms, settings.kms_key_id
        self.data_keys = DataKeys(
            wrapping,
            wraps_with,
            {each.id: each for each in files},
            self.kms,
            cache_seconds=settings.cache_seconds,
            cache_keys_max=settings.cache_keys_max,
            clock=time.monotonic,
            random=os.urandom,
        )

    async def start(self) -> None:
        """Do in advance what would keep the event loop busy later; asks nobody for a key."""
        if self.kms is not None:
            await self.kms.start()

    async def close(self) -> None:
        """Forget every key and close every connection."""
        self.data_keys.close()
        if self.kms is not None:
            await self.kms.close()


def _kms(key_id: str) -> KmsMasterKey:
    if find_spec("aiobotocore") is None:
        raise ConfigError(
            "a KMS key is set (AWS_KMS_KEY_ID or vault.kms_key_id), and the client for AWS KMS is "
            "not installed: install this package with its extra kms, as README says"
        )
    from ragen_actor.vault.kms import KmsMasterKey  # Takes more than half a second to import.

    return KmsMasterKey(key_id)
