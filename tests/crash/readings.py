"""What is read of an open `Storage` while it works, compared with what was acknowledged."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from storage import CatalogLog, DamagedRecord, RecordLog, Storage, ThreadLog
from storage.errors import WriteRefused
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Contents, Violation, live, read_logs
from tests.crash.model import Model
from tests.crash.witness import Witness


@dataclass(slots=True)
class Org:
    """An organisation as its owner sees it."""

    name: str
    catalog: CatalogLog
    threads: dict[str, ThreadLog | None] = field(default_factory=dict)
    newest: int = 0
    changing: set[object] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    opening: set[str] = field(default_factory=set)


class Readings:
    """The logs of one life, and what is read of them.

    Attributes:
        storage: Open.
        witness: Of what storage is handed.
        orgs: Every organisation.
    """

    def __init__(self, storage: Storage, disk: FakeDisk, model: Model, rng: random.Random) -> None:
        self.storage = storage
        self.orgs: list[Org] = []
        self._disk = disk
        self.witness = Witness(model, disk)
        self._rng = rng

    async def open(self, names: list[str]) -> None:
        """Open every catalogue."""
        for name in names:
            catalog = await self.storage.open_catalog(name)
            org = Org(name, catalog, newest=catalog.index.last_key)
            for place in catalog.places(range(len(catalog.index))):
                data = (await self._read(catalog, [place[0]]))[0]
                org.threads[data[7:46].decode()] = None
            self.orgs.append(org)

    async def _opened(self, org: Org, thread: str) -> ThreadLog | None:
        if thread in org.opening:
            return None
        found = org.threads[thread]
        if found is None:
            org.opening.add(thread)
            try:
                found = await self.storage.open_thread(org.name, thread)
            except DamagedRecord as error:
                raise Violation(f"a sound thread is refused: {error}") from error
            except (OSError, WriteRefused):
                if not self._disk.faults.injected:
                    raise
                return None
            finally:
                org.opening.discard(thread)
            org.threads[thread] = found
        return found if thread in org.threads else None

    async def _look(self, log: RecordLog) -> None:
        """Read a few objects, and compare them with what was acknowledged."""
        keys = list(log.index.keys)
        if not keys:
            return
        chosen = sorted(self._rng.sample(keys, min(len(keys), 3)))
        least = dict(self.witness.newest[log.path])
        try:
            found = await self._read(log, chosen)
        except OSError:
            if not self._disk.faults.injected:
                raise
            return
        for key, data in zip(chosen, found, strict=True):
            self.witness.check_object(log.path, key, data, least.get(key, -1))

    async def _read(self, log: RecordLog, keys: list[int]) -> list[bytes]:
        await self._released(log)
        places = [place for key in keys if (place := log.place(key)) is not None]
        try:
            found = self.storage.read(log, places)
            if isinstance(found, list):
                return found
            log.reading += 1
            try:
                return await found
            finally:
                log.reading -= 1
                log.look_quiet()
        except DamagedRecord as error:
            raise Violation(f"a sound record is refused: {error}") from error

    async def _released(self, *logs: RecordLog) -> None:
        """Wait while a log is about to be replaced by its next generation."""
        while held := [log for log in logs if log.held]:
            released = asyncio.Event()
            held[0].when_released(released.set)
            await released.wait()

    async def verify(self, contents: Contents) -> None:
        """Compare what storage serves with what its logs hold; nothing else goes on."""
        logs = read_logs(contents)
        self.witness.begin(contents)
        for org in self.orgs:
            await self._verify(org.catalog, live(logs.get(org.catalog.path, [])))
            for thread in list(org.threads):
                opened = await self._opened(org, thread)
                if opened is not None:
                    await self._verify(opened, live(logs.get(opened.path, [])))

    async def _verify(self, log: RecordLog, expected: dict[int, bytes]) -> None:
        if list(log.index.keys) != list(expected):
            raise Violation(f"{log.path}: {list(log.index.keys)} instead of {list(expected)}")
        if await self._read(log, list(expected)) != list(expected.values()):
            raise Violation(f"{log.path}: what is read is not what was written")
