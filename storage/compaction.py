"""Compaction: the live records of a log are rewritten as its next generation.

While reads and writes go on, the live lines are copied into a file beside the log, then the lines
that came meanwhile. Then the log is held until nothing is on its way, the last lines are copied,
the new file is made durable, takes the log's name, and the directory is made durable: only now may
a frame of the journal name the new generation. A crash at any moment leaves the old file or the new
one under the name, each with every acknowledged line; frames of the other generation are skipped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

import msgspec

from storage.committer import Committer
from storage.datadir import thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.errors import DamagedRecord, StorageError
from storage.index import Index
from storage.record import HEADER, REMOVES, RecordError, checksum, encode, parse, relabel
from storage.record_log import CatalogLog, LogHeader, RecordLog
from storage.scan import lines, read_header

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1024 * 1024
_CATCH_UP_BYTES = 64 * 1024
_CATCH_UPS_MAX = 8
_RETRY_SECONDS = 1.0


def draft_path(path: str) -> str:
    """Return where a log's next generation is written."""
    return f"{path}.new"


class Draft:
    """A generation that is being written; its methods block.

    Attributes:
        generation: Its own.
        index: Where its live records are.
        end: Bytes that belong in it.
        covered: Bytes of the old generation whose meaning is in it.
        last_offset: Where its last line begins.
        last_line: The checksum digits of that line.
    """

    def __init__(self, disk: Disk, target: RecordLog) -> None:
        self.path = draft_path(target.path)
        self.generation = target.generation + 1
        self.index = Index(last_key=target.index.last_key, last_ms=target.index.last_ms)
        self.end = 0
        self.covered = target.end
        self.last_offset = 0
        self.last_line = b""
        self._disk = disk
        self._target = target
        self._live = (target.index.keys[:], target.index.offsets[:], target.index.lengths[:])
        self._buffer = bytearray()

    def copy(self) -> None:
        """Write the header and every record that was live when the draft was made, oldest first.

        Raises:
            DamagedRecord: One of them does not read back as it was written.
            OSError: The disk fails.
        """
        disk, target = self._disk, self._target
        disk.unlink(self.path)
        with disk.opened(target.path) as source, disk.opened(self.path, create=True) as out:
            old, _ = read_header(disk, target.path, source)
            header = LogHeader(
                id=old.id,
                org=old.org,
                generation=self.generation,
                last_key=self.index.last_key,
                last_ms=self.index.last_ms,
            )
            self._append(HEADER, 0, encode(HEADER, 0, msgspec.json.encode(header)))
            for key, offset, length in zip(*self._live, strict=True):
                line = disk.read(source, length, offset)
                self._keep(target.ADD, key, line, offset)
                self._flush(out, _CHUNK_BYTES)
            if isinstance(target, CatalogLog):
                self._keep_tombstones(source, old.org)
            self._flush(out)

    def catch_up(self, end: int) -> None:
        """Write what the old generation got since, up to `end`.

        Raises:
            DamagedRecord: A line of it is not as it was written.
            OSError: The disk fails.
        """
        disk, target = self._disk, self._target
        with disk.opened(target.path) as source, disk.opened(self.path) as out:
            for line in lines(disk, source, self.covered, end):
                if line.fault:
                    raise DamagedRecord(line.fault, path=target.path, offset=line.offset)
                key = target.key(line.sequence, line.payload)
                self._keep(line.kind, key, line.data, line.offset)
                self._flush(out, _CHUNK_BYTES)
            self._flush(out)
        self.covered = end

    def take_name(self) -> None:
        """Make the draft durable and give it the log's name; the name is not durable yet.

        Raises:
            OSError: The disk fails; the log has its old file still.
        """
        disk, target = self._disk, self._target
        self.catch_up(target.end)
        with disk.opened(self.path) as out:
            disk.sync(out)
        try:
            disk.replace(self.path, target.path)
        except OSError:
            if disk.exists(self.path):
                raise
        disk.unlink(target.sidecar_path)

    def install(self) -> None:
        """Let the log be this generation; in the event loop, with nothing on its way."""
        target = self._target
        target.generation, target.index, target.end = self.generation, self.index, self.end
        target.last_offset, target.last_line = self.last_offset, self.last_line
        target.sidecar_records = 0

    def _keep(self, kind: str, key: int, line: bytes, offset: int) -> None:
        """Append a line as `kind`; in a catalogue under the number that it has here."""
        target = self._target
        try:
            sequence = parse(line).sequence
        except RecordError as error:
            raise DamagedRecord(str(error), path=target.path, offset=offset, key=key) from error
        number = sequence if target.BY_SEQUENCE else self.index.records + 1
        self._append(kind, key, relabel(line, kind, number))

    def _append(self, kind: str, key: int, line: bytes) -> None:
        self.last_offset, self.last_line = self.end, checksum(line)
        if kind != HEADER:
            self.index.apply(kind, key, self.end, len(line))
        self._buffer += line
        self.end += len(line)

    def _flush(self, out: int, bytes_min: int = 1) -> None:
        if len(self._buffer) >= bytes_min:
            self._disk.write(out, bytes(self._buffer), self.end - len(self._buffer))
            self._buffer.clear()

    def _keep_tombstones(self, source: int, org: str) -> None:
        """A deleted thread whose file is still there must stay known as deleted."""
        for line in lines(self._disk, source, 0, self.covered):
            if line.kind in REMOVES and not line.fault:
                thread_id = line.payload[7:46].decode()
                if self._disk.exists(thread_path(org, thread_id)):
                    self._keep(line.kind, self._target.key_of_id(line.payload), line.data, 0)


class Compactor:
    """Rewrites logs, one at a time. Its methods belong to the event loop."""

    def __init__(
        self, disk: Disk, descriptors: Descriptors, committer: Committer, executor: Executor
    ) -> None:
        self._disk = disk
        self._descriptors = descriptors
        self._committer = committer
        self._executor = executor
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def compact(self, target: RecordLog) -> bool:
        """Replace a log by its next generation; its owner keeps it open meanwhile.

        Returns:
            Whether that was done. A damaged log is left as it is, and so is one that fails to be
            rewritten; both are logged.
        """
        if target.compacting or not target.end:
            return False
        target.compacting = True
        try:
            async with self._turn:
                return await self._compact(target)
        except (StorageError, OSError) as error:
            log.error("%s was not compacted: %s", target.path, error)
            return False
        finally:
            target.compacting = False

    async def _compact(self, target: RecordLog) -> bool:
        before = target.end
        draft = Draft(self._disk, target)
        try:
            await self._run(draft.copy)
            for _ in range(_CATCH_UPS_MAX):
                if target.end - draft.covered <= _CATCH_UP_BYTES:
                    break
                await self._run(draft.catch_up, target.end)
            await self._quiet(target)
            if target.dropped or target.owed or target.torn:
                return False
            await self._committer.alone(draft.take_name)
            self._descriptors.distrust(target.path)
            draft.install()
            await self._name_lasts(target)
        finally:
            if target.generation != draft.generation:
                await self._run(self._disk.unlink, draft.path)
            target.release()
        log.info("%s: %d bytes became %d", target.path, before, target.end)
        return True

    async def _quiet(self, target: RecordLog) -> None:
        """Return when nothing is on its way on the log, and nothing can begin."""
        quiet: asyncio.Future[None] = self._loop.create_future()
        target.hold(lambda: None if quiet.done() else quiet.set_result(None))
        await quiet

    async def _name_lasts(self, target: RecordLog) -> None:
        """Make the new file's name durable; until then the log takes no writes."""
        folder = target.path.rpartition("/")[0]
        while True:
            try:
                await self._run(self._disk.sync_directory, folder)
            except OSError as error:
                log.error("%s: its new name is not durable: %s", target.path, error)
                target.owed = True
                target.release()
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                target.owed = False
                return

    async def _run(self, job: Callable[..., None], *arguments: object) -> None:
        await self._loop.run_in_executor(self._executor, job, *arguments)
