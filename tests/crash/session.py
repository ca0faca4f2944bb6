"""What clients do to one open `Storage`, planned as its actors plan, and told to the model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from storage import DamagedRecord, LogHeader, Storage, ThreadLog
from storage.append import Append
from storage.errors import StorageError, WriteRefused
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Violation, sealed_of
from tests.crash.model import Model
from tests.crash.readings import Org, Readings

THREADS_MAX = 14

Answer = asyncio.Future[StorageError | None]


class Session(Readings):
    """Clients of one life who plan their lines themselves."""

    STORAGE = Storage

    def __init__(
        self,
        storage: Storage,
        disk: FakeDisk,
        model: Model,
        rng: random.Random,
        now: Callable[[], float],
    ) -> None:
        super().__init__(storage, disk, model, rng)
        self.time_of_day = now
        self._loop = asyncio.get_running_loop()

    @classmethod
    def on(
        cls,
        storage: Storage,
        disk: FakeDisk,
        model: Model,
        rng: random.Random,
        now: Callable[[], float],
    ) -> Session:
        """Come to an open storage."""
        return cls(storage, disk, model, rng, now)

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
            if not self.witness.flying:
                return
            await asyncio.sleep(0.5)
        raise Violation("a unit is not answered after 200 seconds")

    async def resume(self) -> list[StorageError]:
        """Write once more in every organisation; return what failed."""
        tries = [await asyncio.wait_for(self.create(org), 60) for org in self.orgs]
        return [error for error in tries if error is not None]

    async def close(self) -> None:
        """Stop as the server does."""
        await self.storage.close()

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
        if org.catalog.place(int(thread[7:23], 16)) is None:
            # A delete of unknown outcome has come to pass since.
            org.threads.pop(thread, None)
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

    def create(self, org: Org) -> Answer:
        """Create a thread with 0 to 4 initial messages."""
        rng = self._rng
        ms = int(self.time_of_day() * 1000)
        org.newest = key = max(ms << 16, org.newest + 1)
        thread = f"thread-{key:016x}{rng.getrandbits(64):016x}"
        log = self.storage.new_thread(org.name, thread)
        turns = [log.add(each, *self._message(each)) for each in range(1, rng.randrange(6))]
        size = sum(len(each.line) for each in turns)
        header = LogHeader(id=thread, org=org.name, create_bytes=size)
        catalog = org.catalog
        first = not catalog.end and not catalog.pending
        entry = [catalog.header(LogHeader(id=org.name, org=org.name))] if first else []
        entry.append(catalog.add(catalog.next_number, *self._object(thread)))

        def created() -> None:
            self.storage.tend(catalog)
            org.threads[thread] = log

        return self._submit([log.header(header), *turns, *entry], created)

    def append(self, org: Org, thread: str, log: ThreadLog) -> Answer:
        """Add a message."""
        line = log.add(log.next_sequence, *self._message(log.next_sequence))
        return self._hold(org, thread, [line], None, lambda: self.storage.tend(log))

    def _change(self, org: Org, thread: str, log: ThreadLog) -> Answer | None:
        keys = [each for each in log.index.keys if (thread, each) not in org.changing]
        if not keys:
            return None
        key = self._rng.choice(keys)
        message, sealed = self._message(key)
        gone = self._rng.random() < 0.4
        line = log.remove(key, message) if gone else log.replace(key, message, sealed)
        return self._hold(org, thread, [line], (thread, key), lambda: self.storage.tend(log))

    def _modify_thread(self, org: Org, thread: str) -> Answer | None:
        if thread in org.changing:
            return None
        catalog = org.catalog
        line = catalog.replace(catalog.next_number, *self._object(thread))
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
            self.storage.upkeep.bury(org.name, thread, at)
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

    def _submit(self, lines: list[Append], then: Callable[[], None]) -> Answer:
        answer: Answer = self._loop.create_future()
        unit = self.witness.plan(lines)

        def done(error: StorageError | None) -> None:
            self.witness.told(unit, lines, error)
            if error is None:
                then()
            if not answer.done():
                answer.set_result(error)

        try:
            self.storage.commit(lines, done)
        except WriteRefused as error:
            done(error)
        except DamagedRecord as error:
            raise Violation(f"a sound log takes nothing: {error}") from error
        return answer

    def _message(self, sequence: int) -> tuple[bytes, bytes]:
        ms = int(self.time_of_day() * 1000)
        identity = f"msg-{ms:012x}{sequence:08x}{self._rng.getrandbits(48):012x}"
        return self._object(identity)

    def _object(self, identity: str) -> tuple[bytes, bytes]:
        """Make an object and what is sealed with it: with every other one something is."""
        rng = self._rng
        size = rng.choice([0, 40, 40, 200, 900, rng.randrange(6000)])
        text = f"{rng.getrandbits(40):010x}" * (size // 10)
        number = rng.getrandbits(60)
        seals = number % 2
        data = f'{{"id":"{identity}","n":{number},"seals":{seals},"text":"{text}"}}'.encode()
        return data, sealed_of(data)
