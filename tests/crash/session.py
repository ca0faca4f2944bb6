"""What clients do to one open `Storage`, planned as its actors plan, and told to the model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from storage import CatalogLog, DamagedRecord, LogHeader, RecordLog, Storage, ThreadLog
from storage.errors import StorageError, WriteFailed, WriteRefused
from storage.record_log import Append
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Contents, Violation, live, read_logs
from tests.crash.model import Fate, Model, Unit

THREADS_MAX = 14

Answer = asyncio.Future[StorageError | None]


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


class Session:
    """Clients of one life.

    Attributes:
        answered: Units by what their askers were told.
    """

    def __init__(
        self, storage: Storage, disk: FakeDisk, model: Model, rng: random.Random, now: Callable[[], float]
    ) -> None:
        self.storage = storage
        self.orgs: list[Org] = []
        self.answered = {"acknowledged": 0, "failed": 0, "refused": 0}
        self._disk = disk
        self._model = model
        self._rng = rng
        self.time_of_day = now
        self._loop = asyncio.get_running_loop()
        self._acknowledged: dict[str, int] = {}
        self._newest: dict[tuple[str, int], int] = {}
        self._flying = 0

    async def open(self, names: list[str]) -> None:
        """Open every catalogue."""
        for name in names:
            catalog = await self.storage.open_catalog(name)
            org = Org(name, catalog, newest=catalog.index.last_key)
            for place in catalog.places(range(len(catalog.index))):
                data = (await self._read(catalog, [place[0]]))[0]
                org.threads[data[7:46].decode()] = None
            self.orgs.append(org)

    async def work(self, operations: int) -> None:
        """Do so many random things, some without waiting for the one before."""
        rng = self._rng
        for _ in range(operations):
            answer = await self._one(rng.choice(self.orgs))
            if answer is not None and rng.random() < 0.5:
                await answer
            if rng.random() < 0.3:
                await asyncio.sleep(rng.choice([0.0, 0.0, 0.01, 0.5, 3.0]))

    async def quiet(self) -> None:
        """Wait until every unit is answered."""
        for _ in range(400):
            if not self._flying:
                return
            await asyncio.sleep(0.5)
        raise Violation("a unit is not answered after 200 seconds")

    async def _one(self, org: Org) -> Answer | None:
        rng = self._rng
        choice = rng.random()
        await self._released(org.catalog)
        if not org.threads or (choice < 0.15 and len(org.threads) < THREADS_MAX):
            return self.create(org)
        thread = rng.choice(list(org.threads))
        opened = await self._opened(org, thread)
        if opened is None:
            return None
        await self._released(opened, org.catalog)
        if org.threads.get(thread) is not opened:
            return None
        if choice < 0.2:
            return self._modify_thread(org, thread)
        if choice < 0.24:
            return self._delete_thread(org, thread)
        if choice < 0.28:
            self._passivate(org, thread)
            return None
        if choice < 0.4:
            await self._look(rng.choice([opened, org.catalog]))
            return None
        if choice < 0.55:
            return self._change(org, thread, opened)
        return self.append(org, thread, opened)

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

    def create(self, org: Org) -> Answer:
        """Create a thread with 0 to 4 initial messages."""
        rng = self._rng
        ms = int(self.time_of_day() * 1000)
        org.newest = key = max(ms << 16, org.newest + 1)
        thread = f"thread-{key:016x}{rng.getrandbits(64):016x}"
        log = self.storage.new_thread(org.name, thread)
        turns = [log.add(each, self._message(each)) for each in range(1, rng.randrange(6))]
        size = sum(len(each.line) for each in turns)
        header = LogHeader(id=thread, org=org.name, create_bytes=size)
        catalog = org.catalog
        first = not catalog.end and not catalog.pending
        entry = [catalog.header(LogHeader(id=org.name, org=org.name))] if first else []
        entry.append(catalog.add(catalog.next_number, self._object(thread)))

        def created() -> None:
            self.storage.tend(catalog)
            org.threads[thread] = log

        return self._submit([log.header(header), *turns, *entry], created, thread)

    def append(self, org: Org, thread: str, log: ThreadLog) -> Answer:
        """Add a message."""
        line = log.add(log.next_sequence, self._message(log.next_sequence))
        return self._hold(org, thread, [line], None, lambda: self.storage.tend(log))

    def _change(self, org: Org, thread: str, log: ThreadLog) -> Answer | None:
        keys = [each for each in log.index.keys if (thread, each) not in org.changing]
        if not keys:
            return None
        key = self._rng.choice(keys)
        message = self._message(key)
        gone = self._rng.random() < 0.4
        line = log.remove(key, message) if gone else log.replace(key, message)
        return self._hold(org, thread, [line], (thread, key), lambda: self.storage.tend(log))

    def _modify_thread(self, org: Org, thread: str) -> Answer | None:
        if thread in org.changing:
            return None
        catalog = org.catalog
        line = catalog.replace(catalog.next_number, self._object(thread))
        return self._hold(org, thread, [line], thread, lambda: self.storage.tend(catalog))

    def _delete_thread(self, org: Org, thread: str) -> Answer | None:
        if org.busy.get(thread):
            return None
        catalog = org.catalog
        at = int(self.time_of_day())
        tombstone = f'{{"id":"{thread}","deleted_at":{at},"n":{self._rng.getrandbits(60)}}}'
        line = catalog.remove(catalog.next_number, tombstone.encode())
        log = org.threads.pop(thread)

        def deleted() -> None:
            if log is not None:
                log.dropped = True
            self.storage.bury(org.name, thread, at)
            self.storage.tend(catalog)

        def ended(answer: Answer) -> None:
            if not answer.cancelled() and answer.result() is not None:
                org.threads[thread] = log

        answer = self._hold(org, thread, [line], thread, deleted)
        answer.add_done_callback(ended)
        return answer

    def _hold(
        self,
        org: Org,
        thread: str,
        lines: list[Append],
        change: object,
        then: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Keep other changes of the same object, and the end of the thread, waiting."""
        org.busy[thread] = org.busy.get(thread, 0) + 1
        org.changing.add(change)
        answer = self._submit(lines, then)

        def ended(_: Answer) -> None:
            org.busy[thread] -= 1
            org.changing.discard(change)

        answer.add_done_callback(ended)
        return answer

    def _passivate(self, org: Org, thread: str) -> None:
        log = org.threads[thread]
        if log is not None and not org.busy.get(thread) and not log.compacting:
            self.storage.leave(log)
            org.threads[thread] = None

    def _submit(self, lines: list[Append], then: Callable[[], None], creates: str | None = None) -> Answer:
        answer: Answer = self._loop.create_future()
        unit = self._model.plan([(each.log.path, each.key, each.line) for each in lines], creates)
        self._flying += 1

        def done(error: StorageError | None) -> None:
            self._flying -= 1
            if error is None:
                self._acknowledge(unit, lines)
                then()
            self._note(unit, error)
            if not answer.done():
                answer.set_result(error)

        try:
            self.storage.commit(lines, done)
        except WriteRefused as error:
            done(error)
        except DamagedRecord as error:
            raise Violation(f"a sound log takes nothing: {error}") from error
        return answer

    def _note(self, unit: Unit, error: StorageError | None) -> None:
        if error is None:
            unit.fate = Fate.THERE
        elif isinstance(error, WriteRefused):
            unit.fate = Fate.ABSENT
        elif not isinstance(error, WriteFailed):
            raise Violation(f"unit {unit.number} was answered with {error!r}")
        if error is not None and not self._disk.faults.injected:
            if "waits for its checkpoint" not in str(error):
                raise Violation(f"unit {unit.number} failed though nothing was wrong: {error}")
        word = {Fate.THERE: "acknowledged", Fate.ABSENT: "refused", Fate.UNKNOWN: "failed"}
        self.answered[word[unit.fate]] += 1

    def _acknowledge(self, unit: Unit, lines: list[Append]) -> None:
        for each in lines:
            path = each.log.path
            if unit.number < self._acknowledged.get(path, -1):
                raise Violation(f"{path}: unit {unit.number} was overtaken")
            self._acknowledged[path] = unit.number
            if each.kind in "mutv":
                self._newest[path, each.key] = unit.number
            elif each.kind in "xy" and each.log.index.find(each.key) is not None:
                raise Violation(f"{path}: {each.key} was deleted and is still listed")

    async def _look(self, log: RecordLog) -> None:
        """Read a few objects, and compare them with what was acknowledged."""
        keys = list(log.index.keys)
        if not keys:
            return
        chosen = sorted(self._rng.sample(keys, min(len(keys), 3)))
        least = {key: self._newest.get((log.path, key), -1) for key in chosen}
        try:
            found = await self._read(log, chosen)
        except OSError:
            if not self._disk.faults.injected:
                raise
            return
        for key, data in zip(chosen, found, strict=True):
            unit = self._model.unit_of(log.path, data)
            if unit is None or unit.fate is Fate.ABSENT or unit.number < least[key]:
                raise Violation(f"{log.path}: {key} reads as {data[:80]!r}")

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
            released = self._loop.create_future()
            held[0].when_released(lambda: released.done() or released.set_result(None))
            await released

    async def verify(self, contents: Contents) -> None:
        """Compare what storage serves with what its logs hold; nothing else goes on."""
        logs = read_logs(contents)
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

    def _message(self, sequence: int) -> bytes:
        ms = int(self.time_of_day() * 1000)
        identity = f"msg-{ms:012x}{sequence:08x}{self._rng.getrandbits(48):012x}"
        return self._object(identity)

    def _object(self, identity: str) -> bytes:
        rng = self._rng
        size = rng.choice([0, 40, 40, 200, 900, rng.randrange(6000)])
        text = f"{rng.getrandbits(40):010x}" * (size // 10)
        return f'{{"id":"{identity}","n":{rng.getrandbits(60)},"text":"{text}"}}'.encode()
