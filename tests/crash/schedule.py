"""One thread, virtual time, and a seeded choice of who goes on next.

The jobs that storage gives to its executors run as coroutines of their own (greenlets): each call
of the fake disk is a place where a job may be left standing while another one, or the event loop,
goes on. The event loop looks for jobs where a real one would wait for the operating system. Time
passes only when all is idle, or when a call is said to be slow. So one seed is one schedule.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, Protocol, TypeVar, cast

import greenlet as _greenlet  # type: ignore[import-untyped]

from tests.crash.points import Origin, origin

T = TypeVar("T")

LIFE_SECONDS_MAX = 20_000.0


class Crash(BaseException):
    """The process is no more."""


class Deadlock(AssertionError):
    """Everybody waits and nobody will ever go on."""


class LoopFault(AssertionError):
    """A callback or a task failed and nobody was told."""


class _Greenlet(Protocol):
    parent: _Greenlet
    dead: bool

    def switch(self) -> object: ...

    def throw(self, error: type[BaseException]) -> object: ...


class Job:
    """A call on its way through an executor.

    Attributes:
        future: Its result, or None where nobody waits for it.
        blocked: Tells whether it still waits for another; None when it does not.
        origin: Who of storage handed it in.
    """

    def __init__(
        self, call: Callable[[], object], future: Future[Any] | None, workers: Workers | None
    ) -> None:
        self.future = future
        self.workers = workers
        self.blocked: Callable[[], bool] | None = None
        self.origin = origin(sys._getframe(1))
        self._call = call
        self._greenlet: _Greenlet | None = None

    @property
    def greenlet(self) -> _Greenlet:
        """Its coroutine, made at its first turn: only then is the scheduler its parent."""
        if self._greenlet is None:
            self._greenlet = cast(_Greenlet, _greenlet.greenlet(self._run))
        return self._greenlet

    def _run(self) -> None:
        if self.future is not None and not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except Crash:
            raise
        except Exception as error:
            if self.future is not None:
                self.future.set_exception(error)
            else:
                raise
        else:
            if self.future is not None:
                self.future.set_result(result)


class Workers(Executor):
    """An executor: at most so many of its jobs are under way at once, begun in order."""

    def __init__(self, scheduler: Scheduler, count: int) -> None:
        self.count = count
        self.waiting: deque[Job] = deque()
        self.busy = 0
        self._scheduler = scheduler
        self._closed = False
        scheduler.pools.append(self)

    def submit(self, call: Callable[..., T], /, *arguments: object, **named: object) -> Future[T]:
        """Queue a call."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        job = Job(lambda: call(*arguments, **named), future, self)
        self.waiting.append(job)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Run what is left, as a thread pool would."""
        self._closed = True
        while wait and (self.waiting or self.busy):
            self._scheduler.step()


class Scheduler:
    """Chooses who goes on.

    Attributes:
        now: Virtual seconds.
        steps: How often a job was given its turn.
        crashed: Every job ends where it stands.
        died: The process has crashed in one of them, whoever caught that.
        uncaught: What the event loop was told of because nobody else was.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 1000.0
        self.steps = 0
        self.crashed = False
        self.died = False
        self.uncaught: list[str] = []
        self.pools: list[Workers] = []
        self.on_step: Callable[[], None] = lambda: None
        self._active: list[Job] = []
        self._current: Job | None = None
        self._switching = rng.choice([0.05, 0.3, 0.7])
        self._eager = rng.choice([0.0, 0.2, 0.6])
        self._impatient = rng.choice([0.0, 0.0, 0.03])

    @property
    def origin(self) -> Origin:
        """Who of storage handed in the job that runs."""
        return self._current.origin if self._current is not None else []

    def clock(self) -> float:
        """Return virtual seconds."""
        return self.now

    def executor(self, count: int, name: str) -> Executor:
        """Make what storage takes for a thread pool."""
        return Workers(self, count)

    def spawn(self, call: Callable[[], object]) -> Job:
        """Let something run beside the storage's own jobs."""
        job = Job(call, None, None)
        self._active.append(job)
        return job

    def pause(self, *, always: bool = False) -> None:
        """Maybe let others go on; called by jobs, at each disk call."""
        job = self._current
        if self.crashed and job is not None:
            raise Crash
        if job is not None and (always or self.rng.random() < self._switching):
            job.greenlet.parent.switch()
            if self.crashed:
                raise Crash

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Go on when something has come true; called by jobs, and by the loop for a lock."""
        job = self._current
        while not ready():
            if job is None:
                self.step()
                continue
            job.blocked = lambda: not ready()
            job.greenlet.parent.switch()
            if self.crashed:
                raise Crash

    def wait(self, futures: Iterable[Future[Any]]) -> None:
        """Stand in for `concurrent.futures.wait`."""
        expected = list(futures)
        self.wait_until(lambda: all(each.done() for each in expected))

    def runnable(self) -> list[Job]:
        """Return who could go on now."""
        found = [each for each in self._active if each.blocked is None or not each.blocked()]
        for pool in self.pools:
            if pool.waiting and pool.busy < pool.count:
                found.append(pool.waiting[0])
        return found

    def step(self) -> None:
        """Give one job its turn.

        Raises:
            Deadlock: Nobody can go on.
            Crash: The process died in it.
        """
        candidates = self.runnable()
        if not candidates:
            raise Deadlock("jobs wait for each other")
        job = candidates[self.rng.randrange(len(candidates))]
        if job not in self._active:
            assert job.workers is not None
            job.workers.waiting.popleft()
            job.workers.busy += 1
            self._active.append(job)
        self.steps += 1
        outer, self._current, job.blocked = self._current, job, None
        try:
            job.greenlet.switch()
        except Crash:
            self.died = True
            raise
        finally:
            self._current = outer
            if job.greenlet.dead:
                self._active.remove(job)
                if job.workers is not None:
                    job.workers.busy -= 1
        self.on_step()

    def select(self, timeout: float | None) -> None:
        """What the event loop does where it would wait.

        Raises:
            Deadlock: Nothing can ever happen again, or hours pass and nothing comes to its end.
            LoopFault: Somebody raised where nobody catches.
        """
        if self.died and not self.crashed:
            # A callback that waited for a lock met it, and the event loop let nothing through.
            raise Crash
        if self.uncaught and not self.crashed:
            raise LoopFault(f"the event loop met {self.uncaught[0]}")
        if self.now > LIFE_SECONDS_MAX:
            raise Deadlock("a life does not come to its end")
        if self.crashed:
            if timeout is None:
                raise Deadlock("tasks outlive their process")
            return
        if timeout == 0:
            while self.rng.random() < self._eager and self.runnable():
                self.step()
        elif self.runnable() and not self._leaves_jobs(timeout):
            self.step()
        elif timeout is None:
            raise Deadlock("tasks wait and no job is under way")
        else:
            self.now += timeout
            self.on_step()

    def _leaves_jobs(self, timeout: float | None) -> bool:
        """Let time pass though there is work: the disk is slow. Not for ever."""
        return timeout is not None and timeout < 15 and self.rng.random() < self._impatient

    def kill(self) -> None:
        """End every job where it stands."""
        self.crashed = True
        for job in self._active:
            if not job.greenlet.dead:
                with suppress(Crash):
                    job.greenlet.throw(Crash)
        self._active.clear()
        for pool in self.pools:
            pool.waiting.clear()
            pool.busy = 0
