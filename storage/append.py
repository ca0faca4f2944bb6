"""What is on its way to the end of a log: a line, and the unit of lines that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from storage.errors import StorageError

if TYPE_CHECKING:
    from storage.record_log import RecordLog


class LogHeader(msgspec.Struct, frozen=True):
    """The `d` of a log's first line.

    Attributes:
        id: The thread's id, or the organisation's name.
        org: The organisation that the log belongs to.
        generation: One more with each rewrite of the file.
        last_key: The highest key that the former generation had given out.
        last_ms: The creation time of its newest record, Unix milliseconds.
        create_bytes: Bytes of the lines that were committed together with this one, behind it.
        sealed: Whether what the log holds is sealed; not there in the header of one that is not.
    """

    id: str
    org: str
    generation: int = 1
    last_key: int = 0
    last_ms: int = 0
    create_bytes: int = 0
    sealed: bool | msgspec.UnsetType = msgspec.UNSET


class Append(msgspec.Struct, gc=False, eq=False):
    """One line on its way to the end of a log.

    Attributes:
        log: Where it goes.
        kind: As in `record`.
        key: Of the record that it adds, replaces or removes.
        ms: When that record was created, Unix milliseconds; 0 unless it is added.
        line: Newline included.
        offset: Where it stands in the log, in bytes; set when its batch is made up.
    """

    log: RecordLog
    kind: str
    key: int
    ms: int
    line: bytes
    offset: int = -1


Done = Callable[[StorageError | None], None]


class Unit(msgspec.Struct, gc=False, eq=False):
    """Lines that are committed together or not at all.

    Attributes:
        appends: In the order in which they are to stand in their logs.
        done: Called in the event loop, once, with None or with what went wrong.
        size: Bytes of all lines.
    """

    appends: Sequence[Append]
    done: Done
    size: int = 0

    def __post_init__(self) -> None:
        self.size = sum([len(append.line) for append in self.appends])
