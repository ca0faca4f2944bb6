"""Data to start from, written in seconds: logs in storage's own format, and the same for SQLite.

A catalogue may list a million threads, of which only some have files: a thread's file is opened
when somebody asks for the thread. Ids follow from numbers, so nobody has to remember them.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import sqlite_reference
from ragen_actor import schema
from ragen_actor.schema.objects import Text, TextPart
from storage import LogHeader, Options, Storage
from storage.datadir import catalog_path, thread_path
from storage.index import Index
from storage.record import checksum, encode
from storage.sidecar_file import SIDECAR_RECORDS, pack

TEXT = "What was my last question? I do not remember it at all."
TURN = json.dumps({"role": "user", "content": TEXT}, separators=(",", ":"))

_MS = 1_750_000_000_000
_SPREAD = 0x9E3779B97F4A7C15  # An odd number without a pattern: numbers become all sorts of digits.

Record = tuple[int, int, bytes]
"""Sequence, key and object of a line."""


@dataclass(frozen=True)
class Thread:
    """A thread by its number, from 1, in the organisation's order."""

    number: int

    @property
    def id(self) -> str:
        random = self.number * _SPREAD & (1 << 64) - 1
        return schema.make_thread_id(_MS + self.number, 0, random)

    @property
    def path(self) -> str:
        """Where clients find it."""
        return f"/v1/threads/{self.id}"

    def message_id(self, sequence: int) -> str:
        """Return the id of one of the messages that it begins with, counted from 1."""
        random = self.number * _SPREAD & (1 << 48) - 1
        return schema.make_message_id(_MS + sequence, sequence, random)

    def stored(self) -> bytes:
        created_at = (_MS + self.number) // 1000
        return schema.encode(schema.Thread(id=self.id, created_at=created_at))

    def message(self, sequence: int, text: str) -> bytes:
        created_at = (_MS + sequence) // 1000
        return schema.encode(
            schema.Message(
                id=self.message_id(sequence),
                created_at=created_at,
                thread_id=self.id,
                role="user",
                content=(TextPart(Text(text)),),
                completed_at=created_at,
            )
        )


def make(data_dir: Path) -> None:
    """Make a data directory without any data."""

    async def opened_and_closed() -> None:
        await (await Storage.open(Options(data_dir))).close()

    asyncio.run(opened_and_closed())


def write_organisation(
    data_dir: Path, org: str, *, threads: int, files: Mapping[int, int], text: str = TEXT
) -> None:
    """Write an organisation into a directory that no server has open.

    Args:
        data_dir: As `make` left it.
        org: Its name.
        threads: How many its catalogue lists; numbers from 1.
        files: Those that can be asked for, by number, and how many messages each has.
        text: Of every message.
    """
    every = (Thread(number) for number in range(1, threads + 1))
    records = ((each.number, schema.thread_key(each.id) or 0, each.stored()) for each in every)
    catalog = data_dir / catalog_path(org)
    for folder in range(256):
        (catalog.parent / "threads" / f"{folder:02x}").mkdir(mode=0o700, parents=True)
    _write_log(catalog, LogHeader(id=org, org=org), "t", records, threads)
    for number, messages in files.items():
        _write_thread(data_dir, org, Thread(number), messages, text)


def _write_thread(data_dir: Path, org: str, thread: Thread, messages: int, text: str) -> None:
    records = (
        (sequence, sequence, thread.message(sequence, text)) for sequence in range(1, messages + 1)
    )
    path = data_dir / thread_path(org, thread.id)
    _write_log(path, LogHeader(id=thread.id, org=org), "m", records, messages)


def _write_log(
    path: Path, header: LogHeader, kind: str, records: Iterable[Record], last: int
) -> None:
    """Write a log, and its sidecar if it is long enough to have one."""
    index = Index()
    line = encode("h", 0, msgspec.json.encode(header))
    offset, last_offset = 0, 0
    with path.open("wb") as file:
        file.write(line)
        offset = len(line)
        for sequence, key, data in records:
            line = encode(kind, sequence, data)
            file.write(line)
            index.lengthen(line)
            index.apply(kind, key, offset, len(line))
            last_offset, offset = offset, offset + len(line)
    index.last_ms = _MS + last
    if index.records >= SIDECAR_RECORDS:
        sidecar = pack(
            index,
            generation=1,
            covered=offset,
            last_offset=last_offset,
            last_line=checksum(line),
        )
        path.with_suffix(".idx").write_bytes(sidecar.seal()[0])


def write_sqlite(path: Path, *, threads: int, files: Mapping[int, int]) -> None:
    """Write what `write_organisation` does into a database for the reference."""
    database = sqlite3.connect(path)
    for statement in sqlite_reference.TABLES:
        database.execute(statement)
    every = map(Thread, range(1, threads + 1))
    with database:
        database.executemany(
            sqlite_reference.ADD_THREAD, ((each.id, each.stored()) for each in every)
        )
        database.executemany(sqlite_reference.ADD_MESSAGE, _sqlite_messages(files))
    database.close()


def _sqlite_messages(files: Mapping[int, int]) -> Iterator[tuple[str, str, bytes]]:
    for thread, messages in ((Thread(number), count) for number, count in files.items()):
        for sequence in range(1, messages + 1):
            message = thread.message(sequence, TEXT)
            yield thread.id, thread.message_id(sequence), message
