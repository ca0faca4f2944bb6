"""The next generation of a log, while it is being written into a file beside it.

Compaction and repair both rewrite a log: a header with the next generation's number, then what is
to be kept, each record once, oldest first. The log keeps its own file until the draft is durable
and takes its name.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from storage.append import LogHeader
from storage.datadir import thread_path
from storage.durable import Disk
from storage.errors import DamagedRecord
from storage.index import Index
from storage.record import HEADER, RecordError, checksum, encode, parse, relabel
from storage.record_log import RecordLog
from storage.scan import Line

_CHUNK_BYTES = 1024 * 1024


def draft_path(path: str) -> str:
    """Return where a log's next generation is written."""
    return f"{path}.new"


class Draft:
    """A generation that is being written; its methods block.

    Attributes:
        path: Where it is written.
        generation: Its own.
        index: Where its live records are.
        end: Bytes that belong in it.
        last_offset: Where its last line begins.
        last_line: The checksum digits of that line.
    """

    def __init__(self, disk: Disk, target: RecordLog, generation: int, index: Index) -> None:
        """Plan a draft of `target`; `index` carries the keys and the time it has come to."""
        self.path = draft_path(target.path)
        self.generation = generation
        self.index = index
        self.end = 0
        self.last_offset = 0
        self.last_line = b""
        self._disk = disk
        self._target = target
        self._buffer = bytearray()
        self._synced: set[str] = set()

    def begin(self, owner: str, org: str, *, sealed: bool) -> None:
        """Put the header at its start, in the place of an older draft.

        Raises:
            OSError: The disk fails.
        """
        header = LogHeader(
            id=owner,
            org=org,
            generation=self.generation,
            last_key=self.index.last_key,
            last_ms=self.index.last_ms,
            sealed=sealed or msgspec.UNSET,
        )
        self._disk.unlink(self.path)
        self._append(HEADER, 0, encode(HEADER, 0, msgspec.json.encode(header)))

    def keep(self, kind: str, key: int, line: bytes, offset: int) -> None:
        """Append a line as `kind`; in a catalogue under the number that it has here.

        Args:
            kind: As in `record`.
            key: Of the record that it is about.
            line: As it stands in the old generation.
            offset: Where it stands there, in bytes.

        Raises:
            DamagedRecord: It does not read back as it was written.
        """
        target = self._target
        try:
            sequence = parse(line).sequence
        except RecordError as error:
            raise DamagedRecord(str(error), path=target.path, offset=offset, key=key) from error
        number = sequence if target.BY_SEQUENCE else self.index.records + 1
        self._append(kind, key, relabel(line, kind, number))

    def keep_tombstone(self, line: Line, org: str) -> None:
        """Append a tombstone to a catalogue if the deleted thread's file is still there.

        It must stay known as deleted until the reaper has come.
        """
        thread_id = line.payload[7:46].decode()
        path = thread_path(org, thread_id)
        if self._disk.exists(path):
            self.keep(line.kind, self._target.key_of_id(line.payload), line.data, line.offset)
            return
        folder = path.rpartition("/")[0]
        if folder not in self._synced and self._disk.exists(folder):
            # A file that came back after a power cut would be known to nobody.
            self._disk.sync_directory(folder)
            self._synced.add(folder)

    def flush(self, out: int, bytes_min: int = _CHUNK_BYTES) -> None:
        """Write what was kept so far, if it is so many bytes.

        Raises:
            OSError: The disk fails.
        """
        if len(self._buffer) >= bytes_min:
            self._disk.write(out, bytes(self._buffer), self.end - len(self._buffer))
            self._buffer.clear()

    def sync(self) -> None:
        """Make what was flushed durable.

        Raises:
            OSError: The disk fails.
        """
        with self._disk.opened(self.path) as out:
            self._disk.sync(out)

    def take_name(self) -> None:
        """Make the draft durable and give it the log's name; the name is not durable yet.

        Raises:
            OSError: The disk fails; the log has its old file still.
        """
        disk, target = self._disk, self._target
        self.sync()
        try:
            disk.replace(self.path, target.path)
        except OSError:
            if disk.exists(self.path):
                raise
        with suppress(OSError):  # It is the old generation's, and would not be believed.
            disk.unlink(target.sidecar_path)

    def _append(self, kind: str, key: int, line: bytes) -> None:
        self.last_offset, self.last_line = self.end, checksum(line)
        if kind != HEADER:
            self.index.lengthen(line)
            self.index.apply(kind, key, self.end, len(line))
        self._buffer += line
        self.end += len(line)
