"""Fills a data directory's journal with small messages, none of them durable by itself; then dies.

    python -m tests.faults.full_journal DATA_DIR

The directory is then as a crash of the process leaves it: every line is in its file. DATA_DIR.lost
is as a power cut leaves it which took all that was not synced: only the journal has the lines. It
prints how many there are.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from ragen_actor import schema
from ragen_actor.actors.turns import turn
from storage import LogHeader, Options, Storage, ThreadLog, WriteRefused, committer
from storage.append import Append
from storage.durable import Disk
from tests.storage.samples import commit

ORG = "acme"
THREADS = 500
_MS = 1_750_000_000_000
_BODY = b'{"role":"user","content":"%b"}' % (b"A small turn, as people type them. " * 5)


class StuckDisk(Disk):
    """A disk whose syncs never end once it is `stuck`: so no segment is ever free."""

    stuck = False

    def sync(self, descriptor: int) -> None:
        self._wait()
        super().sync(descriptor)

    def sync_everything(self) -> bool:
        self._wait()
        return super().sync_everything()

    def _wait(self) -> None:
        if self.stuck:
            threading.Event().wait()


def copy_as_the_same(source: Path, target: Path) -> None:
    """Copy a data directory so that it is taken for the original."""
    shutil.copytree(source, target)
    old, new = (str((each / "lock").stat().st_ino) for each in (source, target))
    meta = target / "meta.json"
    meta.write_text(meta.read_text().replace(f'"lock_inode":{old}', f'"lock_inode":{new}'))


async def fill(data_dir: Path) -> None:
    """Write until the journal takes no more, and die."""
    disk = StuckDisk(data_dir)
    storage = await Storage.open(Options(data_dir, checkpoint_seconds=3600), disk)
    threads = await _make_threads(storage)
    await storage.upkeep.checkpoint()
    lost = data_dir.with_name(f"{data_dir.name}.lost")
    copy_as_the_same(data_dir, lost)
    disk.stuck = True
    committer.FREE_SEGMENT_SECONDS_MAX = 0.1
    message = schema.parse_create_message(_BODY)
    taken, full = 0, False
    while not full:
        answers = [commit(storage, *_append(*thread, message)) for thread in threads]
        for error in await asyncio.gather(*answers, return_exceptions=True):
            assert error is None or isinstance(error, WriteRefused), error
            taken += error is None
            full = full or error is not None
    shutil.rmtree(lost / "journal")
    shutil.copytree(data_dir / "journal", lost / "journal")
    print(taken, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def _make_threads(storage: Storage) -> list[tuple[str, ThreadLog]]:
    catalog = await storage.open_catalog(ORG)
    units: list[list[Append]] = []
    made = []
    for number in range(THREADS):
        thread_id = schema.make_thread_id(_MS, number, number)
        log = storage.new_thread(ORG, thread_id)
        thread = schema.encode(schema.Thread(id=thread_id, created_at=_MS // 1000))
        first = [] if number else [catalog.header(LogHeader(id=ORG, org=ORG))]
        header = log.header(LogHeader(id=thread_id, org=ORG))
        units.append([header, *first, catalog.add(catalog.next_number, thread)])
        made.append((thread_id, log))
    await asyncio.gather(*[commit(storage, *unit) for unit in units])
    return made


def _append(thread_id: str, log: ThreadLog, message: schema.NewMessage) -> list[Append]:
    sequence = log.next_sequence
    data = turn(thread_id, message, ms=_MS, sequence=sequence, random=sequence)
    return [log.add(sequence, data)]


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1])))
