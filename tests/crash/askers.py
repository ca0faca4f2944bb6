"""Clients who go through the actors: random commands, many at once, some of whom do not wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator

from ragen_actor.actors.sweep import Report, sweep
from ragen_actor.errors import RagenError, Unavailable
from ragen_actor.schema import thread_key
from storage import Storage, StorageError
from storage.datadir import catalog_path, thread_path
from tests.crash.asking import Asking, WatchedStorage
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Contents, Violation, live, read_logs
from tests.crash.model import Model

THREADS_MAX = 10
SECONDS_MAX = 300.0
SWEEP = "sweep"


class Askers(Asking):
    """Clients of one life."""

    STORAGE = WatchedStorage

    @classmethod
    def on(
        cls,
        storage: Storage,
        disk: FakeDisk,
        model: Model,
        rng: random.Random,
        now: Callable[[], float],
    ) -> Askers:
        """Come to an open storage that was made to be watched."""
        assert isinstance(storage, WatchedStorage)
        return cls(storage, disk, model, rng, now)

    async def open(self, names: list[str]) -> None:
        """Meet every organisation."""
        self.known = {name: {} for name in names}
        self._tasks: set[asyncio.Task[object]] = set()
        self._sweeping = False

    async def verify(self, contents: Contents) -> None:
        """Compare what is answered with what the logs hold; nothing else goes on."""
        logs = read_logs(contents)
        self.witness.begin(contents)
        for org, threads in self.known.items():
            there = live(logs.get(catalog_path(org), []))
            await self._verify(org, None, there)
            for thread in list(threads):
                if thread_key(thread) not in there:  # Whoever deleted it was not told so.
                    del threads[thread]
                    continue
                await self._verify(org, thread, live(logs.get(thread_path(org, thread), [])))

    async def _verify(self, org: str, thread: str | None, expected: dict[int, bytes]) -> None:
        order = self._rng.choice(["asc", "desc"])
        found = await self.walk(org, thread, order)
        if found is None and not self._disk.faults.injected:
            raise Violation(f"{thread or org} cannot be listed")
        wanted = list(expected.values())[:: 1 if order == "asc" else -1]
        if found is not None and found != wanted:
            raise Violation(f"{thread or org}: {len(found)} objects are not the {len(wanted)}")

    async def work(self, operations: int) -> None:
        """Do so many random things, some without waiting for the one before."""
        rng = self._rng
        for _ in range(operations):
            task = self._spawn(self._one(rng.choice(list(self.known))))
            choice = rng.random()
            if choice < 0.5:
                await task
            elif choice < 0.55:
                await asyncio.sleep(0)
                task.cancel()  # The client has left.
            if rng.random() < 0.3:
                await asyncio.sleep(rng.choice([0.0, 0.0, 0.01, 0.5, 3.0]))

    def _spawn(self, work: Coroutine[None, None, object]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    async def quiet(self) -> None:
        """Wait until everything is answered."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SECONDS_MAX)
        for _ in range(400):
            if not self.witness.flying:
                break
            await asyncio.sleep(0.5)
        if self._tasks or self.witness.flying:
            raise Violation(f"not answered: {len(self._tasks)} asks, {self.witness.flying} units")

    async def resume(self) -> list[RagenError]:
        """Write once more in every organisation; return what failed."""
        tries = [await asyncio.wait_for(self.create(org, 1), 60) for org in self.known]
        return [error for error in tries if error is not None]

    async def close(self) -> None:
        """Stop as the server does: the operator's door first."""
        for task in [each for each in self._tasks if each.get_name() == SWEEP]:
            task.cancel()
        await self.registry.close()
        await self.storage.close()
        for task in self._tasks:
            task.cancel()

    async def _one(self, org: str) -> None:
        rng = self._rng
        choice = rng.random()
        threads = self.known[org]
        if not threads or (choice < 0.1 and len(threads) < THREADS_MAX):
            await self.create(org, rng.randrange(5))
            return
        if choice < 0.12:
            sweeping = self._spawn(self._sweep(now=rng.random() < 0.7))
            sweeping.set_name(SWEEP)
            await sweeping
            return
        if choice < 0.16:
            await self._some_page(org, None, list(threads))
            return
        thread = rng.choice(list(threads))
        messages = list(threads[thread])
        if choice < 0.20:
            await self.modify_thread(org, thread)
        elif choice < 0.23:
            await self.delete_thread(org, thread)
        elif choice < 0.27:
            await self.compact(org, thread)
        elif choice < 0.31:
            await self.walk(org, rng.choice([thread, None]), rng.choice(["asc", "desc"]))
        elif choice < 0.40:
            await self._some_page(org, thread, messages)
        elif choice < 0.60 and messages:
            name = rng.choice(messages)
            if choice < 0.45:
                await self.get_message(org, thread, name)
            elif choice < 0.51:
                await self.modify_message(org, thread, name)
            else:
                await self.delete_message(org, thread, name)
        else:
            await self.append(org, thread)

    async def _some_page(self, org: str, thread: str | None, cursors: list[str]) -> None:
        rng = self._rng
        query = f"limit={rng.choice([1, 2, 5, 20, 100])}&order={rng.choice(['asc', 'desc'])}"
        if cursors and rng.random() < 0.7:
            query += f"&{rng.choice(['after', 'before'])}={rng.choice(cursors)}"
        await self.page(org, thread, query)

    async def _sweep(self, *, now: bool) -> None:
        """Take off the disk what was deleted; with `now` all of it must be gone afterwards.

        As at the operator's door there is one at a time, and whoever asked for it may leave.
        """
        if self._sweeping:
            return
        self._sweeping = True
        try:
            await self._sweep_alone(now=now)
        finally:
            self._sweeping = False

    async def _sweep_alone(self, *, now: bool) -> None:
        doomed = set(self._deleted()) if now else set()
        report = Report()
        try:
            await sweep(self.storage, self.registry, report, now=now)
        except (Unavailable, StorageError, OSError):
            if not self._disk.faults.injected and not self.registry.is_closing:
                raise
            return
        if self._disk.faults.injected or report.failed:
            return
        for path, file in self._disk.files.files():
            for data in () if ".torn-" in path or ".damaged" in path else doomed:
                if data in file.data or data in file.durable:
                    raise Violation(f"{path} has what was deleted before a sweep: {data[:80]!r}")

    def _deleted(self) -> Iterator[bytes]:
        """Yield every object, in every version, that nobody may find on the disk any more."""
        removed = self.witness.removed
        gone = {key for org in self.known for key in removed[catalog_path(org)]}
        for unit in self.witness.model.units:
            for line in unit.lines:
                thread = thread_key(line.path[-45:-6])
                if line.kind not in "xy" and (line.key in removed[line.path] or thread in gone):
                    yield line.data
