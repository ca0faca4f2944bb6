"""What can go wrong, in the words of the domain.

Nothing here knows a status code: `web.error_map` gives each class its status, type and code, once.
Storage's own errors are translated into these at the seam, in the actors.
"""

from __future__ import annotations


class RagenError(Exception):
    """Every failure that a client may be told about.

    Attributes:
        message: One line for the client; it names no path and no internals.
        param: The request field at fault, as `messages[0].role`; None when no field is.
        code: OpenAI's machine-readable code; None when there is none.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequest(RagenError):
    """The request is at fault, and nothing was written because of it."""


class NotFound(RagenError):
    """There is no such thing for this organisation, whoever else may have one of that name."""


class ThreadNotFound(NotFound):
    """The thread never existed, was deleted, or belongs to another organisation."""

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"No thread found with id '{thread_id}'.")


class MessageNotFound(NotFound):
    """The message never existed in this thread, or was deleted."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"No message found with id '{message_id}'.")


class AssistantNotFound(NotFound):
    """The assistant names no project of the key's organisation."""

    def __init__(self, assistant_id: str) -> None:
        super().__init__(f"No assistant found with id '{assistant_id}'.")


class Unauthenticated(RagenError):
    """The key is missing or unknown, or a header names what is not the key's."""


class Refused(RagenError):
    """Turned away before anything was written: the client may send the same again.

    Attributes:
        retry_after_ms: Milliseconds after which another try makes sense, 1..60_000.
    """

    def __init__(
        self, message: str, *, retry_after_ms: float = 1000.0, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_ms = retry_after_ms


class RateLimited(Refused):
    """The key's token bucket is empty."""


class Unavailable(Refused):
    """The server is overloaded, starting, stopping, or has no room on its disk."""


class StorageFailed(RagenError):
    """The disk did not do what was asked; nothing of the request was written."""


class OutcomeUnknown(StorageFailed):
    """Storage failed during a write: the write may or may not be found there later."""


class Damaged(RagenError):
    """What was asked for cannot be read back as it was written."""


class NotConfigured(RagenError):
    """The operator has not set up what this needs."""


class UpstreamFailed(RagenError):
    """The upstream cannot be reached, broke off, or gave no answer that can be passed on."""


class UpstreamTooSlow(RagenError):
    """The upstream did not answer in time."""
