"""An event loop in virtual time."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from tests.crash.schedule import Scheduler, Workers

T = TypeVar("T")
_Ts = TypeVarTuple("_Ts")


class _Selector:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def select(self, timeout: float | None) -> list[object]:
        self._scheduler.select(timeout)
        return []


class Loop(asyncio.BaseEventLoop):
    """An event loop in virtual time that no file, socket or thread can wake."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._selector = _Selector(scheduler)
        self._scheduler = scheduler
        self._default = Workers(scheduler, 1)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._scheduler.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], T], *args: *_Ts
    ) -> asyncio.Future[T]:
        """Run a call as a job; the default executor has one worker."""
        return super().run_in_executor(executor or self._default, func, *args)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until a coroutine is done, or the process crashes."""
        asyncio.set_event_loop(self)
        return self.run_until_complete(main)

    def abandon(self) -> None:
        """Forget every task, as the end of a process does."""
        for _ in range(100):
            tasks = asyncio.all_tasks(self)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.call_soon(self.stop)
            self.run_forever()
        self.close()
        asyncio.set_event_loop(None)

    def _note(self, loop: object, context: dict[str, Any]) -> None:
        if not (self._scheduler.crashed or self._scheduler.died):
            error = context.get("exception")
            where = traceback.extract_tb(error.__traceback__)[-1:] if error else []
            self._scheduler.uncaught.append(f"{context.get('message')}: {error!r} {where}")

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
