"""Durable logs on plain files.

    data/
      meta.json                                   format, creation time, which directory this is
      lock                                        one server per directory
      keys.jsonl                                  API keys, by their SHA-256
      journal/0.wal .. 3.wal                      the write-ahead journal, four segments in turn
      orgs/<org>/catalog.jsonl                    the organisation's threads
      orgs/<org>/catalog.idx                      derived, may be deleted
      orgs/<org>/threads/<hh>/thread-<id>.jsonl   a thread's messages
      orgs/<org>/threads/<hh>/thread-<id>.idx     derived, may be deleted
        .../*.jsonl.gap                             lines are lost there: no writes until a repair
    .../*.torn-<offset>, .../*.damaged*         laid aside by recovery or repair, never read again

The promise: once `Storage.commit` has told its caller that a unit is done, the unit survives the
end of the process and of the power, and is in every copy of the directory that begins later. A unit
that was not acknowledged is there whole or not at all.

`record` holds the format of a line, `segment` that of the journal; `engine.Storage` is the door.
"""

from storage.append import LogHeader
from storage.engine import Storage
from storage.errors import (
    DamagedRecord,
    DataDirInUse,
    DataDirUnusable,
    NoRoom,
    Overloaded,
    StorageError,
    UnitTooLarge,
    WriteFailed,
    WriteRefused,
)
from storage.kinds import CatalogLog, ThreadLog
from storage.options import Options
from storage.reader import Cut, Place
from storage.reaper import Tombstone
from storage.record import RecordError, halves, payload, whole
from storage.record_log import RecordLog

__all__ = [
    "CatalogLog",
    "Cut",
    "DamagedRecord",
    "DataDirInUse",
    "DataDirUnusable",
    "LogHeader",
    "NoRoom",
    "Options",
    "Overloaded",
    "Place",
    "RecordError",
    "RecordLog",
    "Storage",
    "StorageError",
    "ThreadLog",
    "Tombstone",
    "UnitTooLarge",
    "WriteFailed",
    "WriteRefused",
    "halves",
    "payload",
    "whole",
]
