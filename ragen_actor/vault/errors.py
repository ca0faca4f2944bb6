"""What can go wrong with what is encrypted, in words fit for whoever looks at the dashboard.

None of them names a secret, and none can reach a client of the public API, which never opens
anything.
"""

from __future__ import annotations

from ragen_actor.config import ConfigError
from ragen_actor.errors import Damaged, InvalidRequest, RagenError, Unavailable


class MasterKeyFileError(ConfigError):
    """A master key file cannot be used, and why; an operator must see to it."""


class MasterKeyUnavailable(Unavailable):
    """Whoever keeps the master key does not answer now; the same may be tried again.

    Attributes:
        key_id: The master key's.
    """

    def __init__(self, key_id: str, reason: str) -> None:
        super().__init__(
            f"The master key '{key_id}' cannot be reached: {reason}. Please try again.",
            code="master_key_unavailable",
            retry_after_ms=2000.0,
        )
        self.key_id = key_id


class MasterKeyMissing(RagenError):
    """There is no master key of that id here, so what it protects stays closed.

    Attributes:
        key_id: The master key's.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"There is no master key '{key_id}' here. Give the server that key to open what is "
            "encrypted under it.",
            code="master_key_missing",
        )
        self.key_id = key_id


class MasterKeyRefused(RagenError):
    """Whoever keeps the master key says no, and will until an operator changes something.

    Attributes:
        key_id: The master key's.
    """

    def __init__(self, key_id: str, reason: str) -> None:
        super().__init__(
            f"The master key '{key_id}' may not be used: {reason}.", code="master_key_refused"
        )
        self.key_id = key_id


class DataKeyLost(RagenError):
    """The thread is encrypted, and its entry holds no key any more."""

    def __init__(self) -> None:
        super().__init__(
            "The key of this encrypted thread is lost: its entry in the catalogue was damaged. "
            "Restore the catalogue from a backup to read the thread.",
            code="data_key_lost",
        )


class SealBroken(Damaged):
    """What was sealed does not open: it was changed, or moved from where it belongs."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not as it was sealed: it was changed or moved.", code="seal_broken"
        )


class EncryptionOff(InvalidRequest):
    """An encrypted thread was asked for, and no master key is configured."""

    def __init__(self) -> None:
        super().__init__(
            "This server has no master key for encrypted threads: set vault.master_key_files or "
            "vault.kms_key_id.",
            code="encryption_off",
        )
