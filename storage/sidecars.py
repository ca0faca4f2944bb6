"""When the sidecars of logs are written, and how: beside the log, in sections, unsynced."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from functools import partial

from storage.durable import Disk
from storage.record_log import RecordLog
from storage.sidecar_file import NO_SIDECAR, SECTIONS_MAX, SIDECAR_RECORDS, Extent, Section

log = logging.getLogger(__name__)


class Sidecars:
    """Writes indices beside their logs; failing costs the next start some time, no more."""

    def __init__(self, disk: Disk, executor: Executor) -> None:
        self._disk = disk
        self._executor = executor
        self._loop = asyncio.get_running_loop()

    def tend(self, record_log: RecordLog) -> None:
        """Write what a log's sidecar lacks if that is due.

        It is after `SIDECAR_RECORDS` more lines. Where more than adds came, all of it is to be
        written: a long log has that done after an eighth more lines. Either way it costs each
        record the same, however long the log grows.
        """
        records = record_log.index.records
        missing = records - record_log.sidecar.records
        if missing >= SIDECAR_RECORDS and (
            record_log.sidecar.takes(record_log.index) or missing >= records // 8
        ):
            self._save(record_log)

    def leave(self, record_log: RecordLog) -> None:
        """Write what the sidecar of a long log lacks that nobody keeps open any more."""
        records = record_log.index.records
        if records >= SIDECAR_RECORDS and records > record_log.sidecar.records:
            self._save(record_log)

    def _save(self, record_log: RecordLog) -> None:
        # Of a log that lost its end the sidecar knows more than the log.
        if record_log.saving or record_log.owed or record_log.compacting or record_log.is_cut:
            return
        record_log.saving = True
        index, before = record_log.index, record_log.sidecar
        section = record_log.section(before if before.takes(index) else NO_SIDECAR)
        # Until it is known to be there nothing goes behind it, and if it fails nothing ever will.
        unknown = Extent(SECTIONS_MAX, len(index.keys), index.records)
        record_log.sidecar = unknown
        work = self._loop.run_in_executor(
            self._executor, self._write, record_log.sidecar_path, section
        )

        def written(work: asyncio.Future[Extent | None]) -> None:
            record_log.saving = False
            # A compaction may have taken the log away from under it meanwhile.
            if not work.cancelled() and record_log.sidecar is unknown:
                record_log.sidecar = work.result() or unknown

        work.add_done_callback(written)

    def _write(self, path: str, section: Section) -> Extent | None:
        """Write a section behind others, or as the first; return how far the sidecar is then."""
        disk, behind = self._disk, section.behind
        data, extent = section.seal()
        try:
            if not behind.sections:
                disk.write_aside(path, data, durable=False)
                return extent
            with disk.opened(path) as descriptor:
                if not behind.is_as_left(partial(disk.read, descriptor)):
                    raise OSError("it is not the one that was written")
                disk.write(descriptor, data, behind.size)
        except OSError as error:
            log.warning("%s was not written: %s", path, error)
            return None
        return extent
