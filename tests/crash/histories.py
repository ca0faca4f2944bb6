"""Random histories of one data directory: several lives, each of which may end badly.

In a life storage starts, is compared with the model, serves clients, and is closed, killed or cut
from its power, at any call of the disk: also while it recovers, checkpoints, compacts or adopts a
copy. A copy made meanwhile becomes a directory of its own, with lives of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from storage import Storage, WriteFailed, WriteRefused
from tests.crash.askers import Askers
from tests.crash.copying import Copier
from tests.crash.environment import checking, simulated
from tests.crash.fake_disk import FakeDisk
from tests.crash.fake_files import FileSystem
from tests.crash.faults import Counts, Faults
from tests.crash.hazards import Trace
from tests.crash.logs import HalfCopied, Violation
from tests.crash.loop import Loop
from tests.crash.model import Fate, Model
from tests.crash.schedule import Crash, Deadlock, Scheduler
from tests.crash.session import Session
from tests.crash.settings import Doom, Setting

Clients = Session | Askers
DOORS: tuple[type[Clients], type[Clients]] = (Session, Askers)
"""Who comes: even seeds hand their lines to storage themselves, odd ones ask the actors."""


class History:
    """One directory and all that befalls it.

    Args:
        seed: Decides everything.
        door: Through which its clients come; without one the seed tells.
        tell: Is given each line of the trace, for a human.
        dooms: Of each life but the last; without them these too are drawn from the seed.
    """

    def __init__(
        self,
        seed: int,
        *,
        tell: Callable[[str], None] | None = None,
        files: FileSystem | None = None,
        model: Model | None = None,
        trace: Trace | None = None,
        counts: Counts | None = None,
        dooms: Sequence[Doom] = (),
        door: type[Clients] | None = None,
    ) -> None:
        self._dooms = deque(dooms)
        self._fated = bool(dooms)
        self._door = door or DOORS[seed % len(DOORS)]
        self.rng = random.Random(seed)
        self.files = files or FileSystem()
        self.model = model or Model()
        self.trace = trace or Trace(tell)
        self.counts = counts or Counts()
        self.setting = Setting.draw(self.rng)
        self._copied = files is not None
        self._young: tuple[str, ...] = ()
        self._copies: list[Copier] = []
        self._killed = False
        self._doom = Doom()
        self._born = 0.0

    def run(self) -> None:
        """Live it.

        Raises:
            Violation: A promise was broken.
        """
        lives = self.rng.choice([2, 2, 3, 4, 5] if not self._copied else [0, 1, 2])
        for _ in range(len(self._dooms) or lives):
            self._life(self._dooms.popleft() if self._dooms else self._draw())
        self._life(None)

    def _draw(self) -> Doom:
        """Leave a life to chance, but for a bias towards what is likeliest to find something."""
        rng = self.rng
        crash_at = 0
        if rng.random() < (0.9 if self._killed else 0.7):
            # What a killed process left in memory only is lost if the next one trusts it.
            soon = rng.random() < (0.6 if self._killed else 0.3)
            crash_at = rng.randrange(1, 40 if soon else rng.choice([100, 300]))
        return Doom(crash_at, power=rng.random() < 0.55)

    def _life(self, doom: Doom | None) -> None:
        """Live once; without a doom nothing goes wrong and everything is looked at."""
        rng = self.rng
        last = doom is None
        if doom is None:
            doom = Doom()
        self._doom = doom
        scheduler = Scheduler(rng)
        faults = Faults()
        if doom.faulty:
            faults = Faults(0.4, (doom.faulty_from, 1 << 30), doom.faulty)
        elif not self._fated and not last:
            faults = Faults.plan(rng)
        disk = FakeDisk(
            self.files, rng, scheduler, faults=faults, trace=self.trace, counts=self.counts
        )
        disk.crash_at, disk.crash_in = doom.crash_at, doom.crash_in
        self._born += 1000
        loop = Loop(scheduler)
        self.trace.note("life" if not last else "last life")
        end = "crash"
        small = {
            "BATCH_LINES_MAX": self.setting.batch_lines_max,
            "SIDECAR_RECORDS": 5,
            "SECTIONS_MAX": 3,
            "WHOLE_FILES": 3,
        }
        batch = self.setting.batch_bytes_max
        with simulated(disk, scheduler, BATCH_BYTES_MAX=batch, **small):
            try:
                end = loop.run(self._live(disk, scheduler, last=last))
            except Crash:
                disk.faults.end()
            except Deadlock as error:
                raise Violation(str(error)) from error
            finally:
                scheduler.kill()
                loop.abandon()
        self._killed = end != "close" and not doom.power
        if scheduler.uncaught:
            raise Violation(f"the event loop met {scheduler.uncaught[0]}")
        if doom.power:
            end += " and power cut"
            self.files.power_cut(rng)
        self.counts.lives[end] += 1
        self.trace.note(f"ended by {end}")
        copies, self._copies = self._copies, []
        for copier in copies:
            if copier.done:
                self._branch(copier)

    def _branch(self, copier: Copier) -> None:
        """Let a copy live."""
        self.counts.lives["copy"] += 1
        self.trace.note("the copy")
        copy = History(
            self.rng.getrandbits(64),
            files=copier.target,
            model=self.model.fork(copier.sure),
            trace=self.trace,
            counts=self.counts,
            door=self._door,
            dooms=tuple(self._dooms),
        )
        copy.setting = self.setting
        copy._born = self._born + 100_000
        sure = [unit for unit in copy.model.units if unit.number in copier.sure]
        old = {path.split("/")[1] for unit in sure for path in unit.paths}
        copy._young = tuple(f"orgs/{org}/threads/" for org in self.setting.orgs if org not in old)
        with suppress(HalfCopied):
            copy.run()
        self.trace.note("the original again")

    async def _live(self, disk: FakeDisk, scheduler: Scheduler, *, last: bool) -> str:
        setting, rng = self.setting, self.rng

        def now() -> float:
            return 1_700_000_000 + self._born + scheduler.now

        storage = await self._door.STORAGE.take(
            setting.options(disk.root),
            disk,
            executors=scheduler.executor,
            clock=scheduler.clock,
            time_of_day=now,
        )
        closing: Storage | Clients = storage
        try:
            await storage.start()
            closing = clients = self._door.on(storage, disk, self.model, rng, now)
            self._look(storage)
            await clients.open(list(setting.orgs))
            await clients.verify(self._contents())
        except (OSError, WriteFailed, WriteRefused) as error:
            if not disk.faults.injected:
                raise Violation(f"no start: {error}") from error
            disk.faults.end()
            await self._close(closing)
            return "failed start"
        await self._serve(storage, clients, disk, scheduler, last=last)
        if not last and rng.random() < 0.3:
            return "kill"
        await self._close(closing)
        return "close"

    async def _serve(
        self,
        storage: Storage,
        clients: Clients,
        disk: FakeDisk,
        scheduler: Scheduler,
        *,
        last: bool,
    ) -> None:
        rng = self.rng
        loop = asyncio.get_running_loop()
        copied = self._doom.copied or rng.random() < 0.25
        if copied and not last and self.setting.reap_seconds > 100:
            loop.call_later(rng.choice([0.0, 0.1, 2.0]), self._copy, scheduler)
        await clients.work(rng.choice([5, 20, 50]) if not last else 3)
        disk.faults.end()
        if rng.random() < 0.5:
            await clients.quiet()
        if last or rng.random() < 0.3:
            await self._resumes(storage, clients)
        for word, count in clients.witness.answered.items():
            self.counts.units[word] += count

    async def _resumes(self, storage: Storage, clients: Clients) -> None:
        """Once the disk is sound again, writes succeed by themselves, and all is there."""
        await asyncio.sleep(60)
        await clients.quiet()
        await asyncio.sleep(5)
        if errors := await clients.resume():
            raise Violation(f"writes do not resume: {errors[0]}")
        if storage.trouble is not None:
            raise Violation(f"there is trouble for ever: {storage.trouble}")
        contents = self._contents()
        self.model.lost(contents)
        await clients.verify(contents)

    async def _close(self, opened: Storage | Clients) -> None:
        try:
            await asyncio.wait_for(opened.close(), 300)
        except TimeoutError:
            raise Violation("close does not come to an end") from None

    def _copy(self, scheduler: Scheduler) -> None:
        sure = {unit.number for unit in self.model.units if unit.fate is Fate.THERE}
        copier = Copier(self.files, sure, self.rng)
        self._copies.append(copier)
        self.trace.note("a copy begins")
        scheduler.spawn(lambda: copier.run(lambda: scheduler.pause(always=True)))

    def _contents(self) -> dict[str, bytes]:
        return {
            path: bytes(file.data)
            for path, file in self.files.files()
            if path.startswith("orgs/") and path.endswith(".jsonl")
        }

    def _look(self, storage: Storage) -> None:
        """Compare the directory with the model, just after a start."""
        adopted, self._copied = self._copied, False
        if storage.recovered.faults and not adopted:
            raise Violation(f"recovery finds damage: {storage.recovered.faults}")
        with checking(FakeDisk(self.files, random.Random(0))) as check:
            damages = check()
        if damages and all(each.startswith(self._young) for each in damages):
            raise HalfCopied(damages)
        self.model.observe(self._contents(), adopted=adopted)
        if damages:
            raise Violation(f"check finds damage: {damages}")


def run_history(
    seed: int,
    tell: Callable[[str], None] | None = None,
    dooms: Sequence[Doom] = (),
    door: type[Clients] | None = None,
) -> tuple[Counts, str]:
    """Live one history.

    Args:
        seed: Of everything.
        tell: Is given each line of the trace.
        dooms: Of each life but the last, where they are not left to chance.
        door: Through which its clients come; without one the seed tells.

    Returns:
        What happened in it, and the hash by which one run is compared with another.

    Raises:
        Violation: A promise was broken.
    """
    history = History(seed, tell=tell, dooms=dooms, door=door)
    logging.disable(logging.CRITICAL if tell is None else logging.NOTSET)
    try:
        history.run()
    finally:
        logging.disable(logging.NOTSET)
    history.counts.histories = 1
    return history.counts, history.trace.digest
