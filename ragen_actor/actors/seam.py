"""The seam to storage: its failures in the words of the domain, without a path."""

from __future__ import annotations

import logging

from ragen_actor.errors import (
    Damaged,
    InvalidRequest,
    OutcomeUnknown,
    RagenError,
    StorageFailed,
    Unavailable,
)
from storage import (
    DamagedRecord,
    NoRoom,
    Overloaded,
    StorageError,
    UnitTooLarge,
    WriteFailed,
    WriteRefused,
)

log = logging.getLogger(__name__)


def translated(error: StorageError) -> RagenError:
    """Say in the words of the domain, and without a path, what storage failed with."""
    if isinstance(error, NoRoom):
        return Unavailable(
            "The server has no room left on its disk.",
            code="insufficient_storage",
            retry_after_ms=10_000,
        )
    if isinstance(error, UnitTooLarge):
        return InvalidRequest(
            f"The request is too large to be stored: it takes {error.size} bytes, "
            f"and {error.size_max} can be stored at once."
        )
    if isinstance(error, Overloaded):
        return Unavailable("The server is overloaded. Please try again.")
    if isinstance(error, WriteRefused):
        return Unavailable("The server cannot write at the moment. Please try again.")
    if isinstance(error, WriteFailed):
        return OutcomeUnknown("The server failed to store your request; its outcome is unknown.")
    log.error("%s", error)
    if isinstance(error, DamagedRecord) and error.key is not None:
        return Damaged(
            f"The message with sequence {error.key} is damaged and cannot be read.",
            code="damaged_message",
        )
    return Damaged("The thread is damaged and cannot be read.", code="damaged_thread")


def worded(error: Exception, what: str) -> RagenError:
    """Say why something failed, whatever it was; what nobody foresaw is logged."""
    if isinstance(error, RagenError):
        return error
    if isinstance(error, StorageError):
        return translated(error)
    if isinstance(error, OSError):
        log.error("storage failed: %s", error)
        return StorageFailed("The server could not read from its storage.")
    log.error("%s failed", what, exc_info=error)
    return RagenError("The server had an error while processing your request.")
