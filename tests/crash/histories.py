"""Random histories of one data directory: several lives, each of which may end badly.

In a life storage starts, is compared with the model, serves clients, and is closed, killed or cut
from its power, at any call of the disk: also while it recovers, checkpoints or adopts a copy. A copy
made meanwhile becomes a directory of its own, with lives of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from storage import Options, Storage
from tests.crash.copying import Copier
from tests.crash.environment import checking, simulated
from tests.crash.fake_disk import FakeDisk, Trace
from tests.crash.fake_files import FileSystem
from tests.crash.faults import Counts, Faults
from tests.crash.logs import Violation
from tests.crash.model import Fate, Model
from tests.crash.schedule import Crash, Deadlock, Loop, Scheduler
from tests.crash.session import Session

ORGS = ["acme", "globex"]
KILO = 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """What stays the same through a history."""

    segment_bytes: int
    checkpoint_seconds: float
    dirty_files_max: int
    open_files_max: int
    batch_bytes_max: int
    compact_dead_bytes: int
    reap_seconds: float
    orgs: tuple[str, ...]

    @classmethod
    def draw(cls, rng: random.Random) -> Setting:
        """Choose."""
        segment = rng.choice([48, 64, 128]) * KILO
        return cls(
            segment_bytes=segment,
            checkpoint_seconds=rng.choice([0.5, 2.0, 30.0]),
            dirty_files_max=rng.choice([2, 4, 16, 4096]),
            open_files_max=rng.choice([2, 8, 1000]),
            batch_bytes_max=segment // 2 - 8 * KILO,
            compact_dead_bytes=rng.choice([1000, 6000, 1 << 30]),
            reap_seconds=rng.choice([5.0, 86_400.0, 86_400.0]),
            orgs=tuple(ORGS[: rng.choice([1, 1, 2])]),
        )


class History:
    """One directory and all that befalls it.

    Args:
        seed: Decides everything.
        tell: Is given each line of the trace, for a human.
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
    ) -> None:
        self.rng = random.Random(seed)
        self.files = files or FileSystem()
        self.model = model or Model()
        self.trace = trace or Trace(tell)
        self.counts = counts or Counts()
        self.setting = Setting.draw(self.rng)
        self._copied = files is not None
        self._copies: list[Copier] = []
        self._born = 0.0

    def run(self) -> None:
        """Live it.

        Raises:
            Violation: A promise was broken.
        """
        self.counts.histories += 1
        for _ in range(self.rng.choice([1, 2, 2, 3, 4] if not self._copied else [0, 1, 2])):
            self._life(last=False)
        self._life(last=True)

    def _life(self, *, last: bool) -> None:
        rng = self.rng
        scheduler = Scheduler(rng)
        faults = Faults() if last else Faults.plan(rng)
        disk = FakeDisk(
            self.files, rng, scheduler, faults=faults, trace=self.trace, counts=self.counts
        )
        choice = 1.0 if last else rng.random()
        if choice < 0.75:
            disk.crash_at = rng.randrange(1, 40 if choice < 0.3 else rng.choice([100, 300]))
        self._born += 1000
        loop = Loop(scheduler)
        self.trace.note("life" if not last else "last life")
        end = "crash"
        try:
            with simulated(
                disk,
                scheduler,
                BATCH_BYTES_MAX=self.setting.batch_bytes_max,
                BATCH_LINES_MAX=30,
                SIDECAR_RECORDS=5,
                WHOLE_FILES=3,
            ):
                try:
                    end = loop.run(self._live(disk, scheduler, last=last))
                except Crash:
                    disk.faults.end()
                except Deadlock as error:
                    raise Violation(str(error)) from error
                finally:
                    scheduler.kill()
                    loop.abandon()
        finally:
            if end != "crash" and disk.crash_at and disk.changes < disk.crash_at:
                disk.crash_at = 0
        if loop.faults:
            raise Violation(f"the event loop met {loop.faults[0]}")
        if rng.random() < 0.5 and not last:
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
        )
        copy.setting = self.setting
        copy._born = self._born + 100_000
        copy.run()
        self.trace.note("the original again")

    async def _live(self, disk: FakeDisk, scheduler: Scheduler, *, last: bool) -> str:
        setting, rng = self.setting, self.rng
        options = Options(
            data_dir=cast(Path, disk.root),
            journal_segment_bytes=setting.segment_bytes,
            disk_reserve_bytes=1,
            checkpoint_seconds=setting.checkpoint_seconds,
            dirty_files_max=setting.dirty_files_max,
            open_files_max=setting.open_files_max,
            compact_dead_ratio=0.2,
            compact_dead_bytes=setting.compact_dead_bytes,
            reap_seconds=setting.reap_seconds,
        )

        def now() -> float:
            return 1_700_000_000 + self._born + scheduler.now

        storage = await Storage.take(
            options,
            disk,
            executors=scheduler.executor,
            clock=scheduler.clock,
            time_of_day=now,
        )
        try:
            await storage.start()
            session = Session(storage, disk, self.model, rng, now)
            self._look(storage)
            await session.open(list(setting.orgs))
            await session.verify(self._contents())
        except OSError as error:
            if not disk.faults.injected:
                raise Violation(f"no start: {error}") from error
            await storage.close()
            return "failed start"
        await self._serve(storage, session, disk, scheduler, last=last)
        if not last and rng.random() < 0.3:
            return "kill"
        await self._close(storage, disk)
        return "close"

    async def _serve(
        self,
        storage: Storage,
        session: Session,
        disk: FakeDisk,
        scheduler: Scheduler,
        *,
        last: bool,
    ) -> None:
        rng = self.rng
        loop = asyncio.get_running_loop()
        if rng.random() < 0.25 and not last and self.setting.reap_seconds > 100:
            loop.call_later(rng.choice([0.0, 0.1, 2.0]), self._copy, scheduler)
        await session.work(rng.choice([5, 30, 80]) if not last else 5)
        disk.faults.end()
        if rng.random() < 0.5:
            await session.quiet()
        if last or rng.random() < 0.3:
            await self._resumes(storage, session)
        for word, count in session.answered.items():
            self.counts.units[word] += count

    async def _resumes(self, storage: Storage, session: Session) -> None:
        """Once the disk is sound again, writes succeed by themselves, and all is there."""
        await asyncio.sleep(60)
        await session.quiet()
        await asyncio.sleep(5)
        for org in session.orgs:
            error = await asyncio.wait_for(session.create(org), 60)
            if error is not None:
                raise Violation(f"writes do not resume: {error}")
        if storage.trouble is not None:
            raise Violation(f"there is trouble for ever: {storage.trouble}")
        contents = self._contents()
        self.model.lost(contents)
        await session.verify(contents)

    async def _close(self, storage: Storage, disk: FakeDisk) -> None:
        try:
            await asyncio.wait_for(storage.close(), 300)
        except asyncio.TimeoutError:
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
        self.model.observe(self._contents(), adopted=adopted)
        sound = FakeDisk(self.files, random.Random(0))
        with checking(sound) as check:
            damages = check()
        if damages:
            raise Violation(f"check finds damage: {damages}")


def run_history(seed: int, tell: Callable[[str], None] | None = None) -> tuple[Counts, str]:
    """Live one history.

    Args:
        seed: Of everything.
        tell: Is given each line of the trace.

    Returns:
        What happened in it, and the hash by which one run is compared with another.

    Raises:
        Violation: A promise was broken.
    """
    history = History(seed, tell=tell)
    logging.disable(logging.CRITICAL if tell is None else logging.NOTSET)
    try:
        history.run()
    finally:
        logging.disable(logging.NOTSET)
    return history.counts, history.trace.digest
