"""The kinds of logs: one holds the messages of a thread, one the threads of an organisation.

They differ in how a record's key is told, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.record_log import RecordLog

_IDS_AT_ONCE = 1000


class ThreadLog(RecordLog):
    """The messages of one thread; a key is a message's sequence, counted from 1."""

    __slots__ = ()

    BY_SEQUENCE = True
    ADD, REPLACE, REMOVE = "m", "u", "x"

    @staticmethod
    def key(sequence: int, data: bytes) -> int:
        """Return the sequence."""
        return sequence

    @staticmethod
    def key_of_id(data: bytes) -> int:
        """Read the 13th to 20th of the 32 hex digits of `{"id":"msg-`."""
        return int(data[23:31], 16)

    @staticmethod
    def created_ms(data: bytes) -> int:
        """Read the milliseconds of `{"id":"msg-` and 32 hex digits."""
        return int(data[11:23], 16)

    @property
    def next_sequence(self) -> int:
        """The sequence of the next message, those on their way counted."""
        return self.index.last_key + 1 + self.pending_adds


class CatalogLog(RecordLog):
    """The threads of one organisation; a key is the first 64 bits of a thread's id.

    `s` numbers the records of the file.
    """

    __slots__ = ()

    BY_SEQUENCE = False
    ADD, REPLACE, REMOVE = "t", "v", "y"

    @staticmethod
    def key(sequence: int, data: bytes) -> int:
        """Return the first 64 bits of the id."""
        return int(data[14:30], 16)

    @staticmethod
    def key_of_id(data: bytes) -> int:
        """Read the first 16 of the 32 hex digits of `{"id":"thread-`."""
        return int(data[14:30], 16)

    @staticmethod
    def created_ms(data: bytes) -> int:
        """Read the milliseconds of `{"id":"thread-` and 32 hex digits."""
        return int(data[14:26], 16)

    def thread_ids(self) -> Iterator[str]:
        """Yield the id of every live thread, oldest first; blocks.

        Raises:
            DamagedRecord: A record does not read back as it was written.
        """
        for start in range(0, len(self.index), _IDS_AT_ONCE):
            positions = range(start, min(start + _IDS_AT_ONCE, len(self.index)))
            for data in self.read(self.places(positions)):
                yield data[7:46].decode()

    @property
    def next_number(self) -> int:
        """The number of the next record, those on their way counted."""
        return self.index.records + 1 + self.pending
