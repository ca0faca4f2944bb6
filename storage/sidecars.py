"""When the sidecars of logs are written, and how: beside the log, whole or not at all, unsynced."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

from storage.durable import Disk
from storage.index import SIDECAR_RECORDS, pack, seal
from storage.record_log import RecordLog

log = logging.getLogger(__name__)


class Sidecars:
    """Writes indices beside their logs; failing costs the next start some time, no more."""

    def __init__(self, disk: Disk, executor: Executor) -> None:
        self._disk = disk
        self._executor = executor
        self._loop = asyncio.get_running_loop()

    def tend(self, record_log: RecordLog) -> None:
        """Write a log's sidecar if it is due.

        It is `SIDECAR_RECORDS` after the last one, or after an eighth of a longer log: so it costs
        each record the same, however long the log grows.
        """
        records = record_log.index.records
        if records - record_log.sidecar_records >= max(SIDECAR_RECORDS, records // 8):
            self._save(record_log)

    def leave(self, record_log: RecordLog) -> None:
        """Write the sidecar of a long log that nobody keeps open any more."""
        records = record_log.index.records
        if records >= SIDECAR_RECORDS and records > record_log.sidecar_records:
            self._save(record_log)

    def _save(self, record_log: RecordLog) -> None:
        # Of a log that lost its end the sidecar knows more than the log.
        if record_log.saving or record_log.owed or record_log.compacting or record_log.is_cut:
            return
        record_log.saving = True
        record_log.sidecar_records = record_log.index.records
        data = pack(
            record_log.index,
            generation=record_log.generation,
            covered=record_log.end,
            last_offset=record_log.last_offset,
            last_line=record_log.last_line,
        )
        work = self._loop.run_in_executor(
            self._executor, self._write, record_log.sidecar_path, data
        )
        work.add_done_callback(lambda _: setattr(record_log, "saving", False))

    def _write(self, path: str, data: bytes) -> None:
        try:
            self._disk.write_aside(path, seal(data), durable=False)
        except OSError as error:
            log.warning("%s was not written: %s", path, error)
