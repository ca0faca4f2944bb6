"""Objects as the actors would store them, and short ways to store and read them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from storage import CatalogLog, LogHeader, Place, Storage, StorageError, ThreadLog
from storage.append import Append
from storage.record_log import RecordLog

ORG = "acme"
MS = 1_750_000_000_000
"""When everything here was created, Unix milliseconds."""
SECONDS_MAX = 20.0


def message(sequence: int, text: str = "hello", *, ms: int = MS) -> bytes:
    return b'{"id":"msg-%012x%08x%012x","text":"%b"}' % (ms, sequence, sequence, text.encode())


def thread_id(number: int) -> str:
    return f"thread-{MS << 80 | number << 64 | 7:032x}"


def thread(number: int, title: str = "") -> bytes:
    return b'{"id":"%b","title":"%b"}' % (thread_id(number).encode(), title.encode())


def only_id(data: bytes) -> bytes:
    return data[: data.index(b'"', 8) + 1] + b"}"


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, looking often; for a bounded time."""
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.001)


def commit(storage: Storage, *appends: Append) -> asyncio.Future[None]:
    """Hand in one unit; the future tells its end."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: StorageError | None) -> None:
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    storage.commit(appends, done)
    return answer


def create(
    storage: Storage, catalog: CatalogLog, number: int, messages: Sequence[bytes] = ()
) -> tuple[ThreadLog, asyncio.Future[None]]:
    """Begin to create a thread with its first messages, as one unit with its catalogue's line."""
    log = storage.new_thread(ORG, thread_id(number))
    turns = [log.add(sequence, data) for sequence, data in enumerate(messages, 1)]
    header = LogHeader(
        id=thread_id(number), org=ORG, create_bytes=sum(len(each.line) for each in turns)
    )
    first = not catalog.end and not catalog.pending
    entry = [catalog.header(LogHeader(id=ORG, org=ORG))] if first else []
    entry.append(catalog.add(catalog.next_number, thread(number)))
    return log, commit(storage, log.header(header), *turns, *entry)


async def created(
    storage: Storage, catalog: CatalogLog, number: int, messages: Sequence[bytes] = ()
) -> ThreadLog:
    log, answer = create(storage, catalog, number, messages)
    await answer
    return log


def append(storage: Storage, log: ThreadLog, text: str = "hello") -> asyncio.Future[None]:
    sequence = log.next_sequence
    return commit(storage, log.add(sequence, message(sequence, text)))


def all_places(log: RecordLog) -> list[Place]:
    return log.places(range(len(log.index)))


async def read(storage: Storage, log: RecordLog, places: Sequence[Place]) -> list[bytes]:
    found = storage.read(log, places)
    return found if isinstance(found, list) else await found


async def read_all(storage: Storage, log: RecordLog) -> list[bytes]:
    return await read(storage, log, all_places(log))


def copied(data_dir: Path, there: Path) -> Path:
    """Copy a data directory; a start takes the copy for one."""
    shutil.copytree(data_dir, there)
    return there


def crashed(data_dir: Path, there: Path) -> Path:
    """Leave a data directory as a crash of its process would: what is in the files now."""
    copied(data_dir, there)
    inode, copy = ((each / "lock").stat().st_ino for each in (data_dir, there))
    meta = there / "meta.json"
    meta.write_text(meta.read_text().replace(f":{inode}", f":{copy}"))
    return there


def tree(data_dir: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for path in sorted(data_dir.rglob("*"))
        if path.is_file()
    }
