"""What storage can fail with: each error says where, and what the operator can do next."""

from __future__ import annotations


class StorageError(Exception):
    """A failure below the actors; its text is one line for an operator, never for a client.

    Attributes:
        path: The file or folder concerned, as storage names it; None when none is.
        offset: Bytes from the start of that file; None when the whole file is meant.
        hint: What to do next, an imperative; empty when nothing needs doing.
    """

    def __init__(
        self, reason: str, *, path: str | None = None, offset: int | None = None, hint: str = ""
    ) -> None:
        self.reason = reason
        self.path = path
        self.offset = offset
        self.hint = hint
        place = "" if path is None else path if offset is None else f"{path}:{offset}"
        text = f"{place}: {reason}" if place else reason
        super().__init__(f"{text} ({hint})" if hint else text)


class DataDirInUse(StorageError):
    """Another process holds the directory's lock."""


class DataDirUnusable(StorageError):
    """The directory is of a newer format, or is no data directory at all."""


class DamagedRecord(StorageError):
    """Bytes that were written whole do not read back as they were.

    Attributes:
        key: The message's sequence; None when it cannot be told, or when it is a thread's record.
    """

    def __init__(
        self, reason: str, *, path: str, offset: int | None, key: int | None = None
    ) -> None:
        super().__init__(
            reason, path=path, offset=offset, hint="run `ragen-actor check` for the whole list"
        )
        self.key = key


class WriteRefused(StorageError):
    """Nothing was written: the same write may be asked for again."""


class Overloaded(WriteRefused):
    """Too much is on its way to the disk."""


class UnitTooLarge(StorageError):
    """The lines of one unit are more than the journal can take at once.

    Attributes:
        size: Bytes of all of them.
        size_max: That may be written at once.
    """

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(f"{size} bytes cannot be written at once, the most is {size_max}")
        self.size = size
        self.size_max = size_max


class NoRoom(WriteRefused):
    """The file system has less free than the reserve that storage keeps."""


class WriteFailed(StorageError):
    """A write began and its outcome is unknown until recovery or a rewrite has decided it."""
