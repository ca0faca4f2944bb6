"""Where a call of the fake disk may be left standing, may fail, or may be the last."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from hashlib import blake2b

from tests.crash import points
from tests.crash.faults import CHANGES, SHORT, Counts, Faults
from tests.crash.schedule import Crash, Scheduler

SLOW_SECONDS = (1.5, 12.0)


class Trace:
    """What happened, in order, as a hash; and as text when it is asked for."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.number = 0
        self._tell = tell
        self._hash = blake2b(digest_size=16)

    def note(self, text: str) -> None:
        """Add a line."""
        self.number += 1
        self._hash.update(text.encode())
        if self._tell is not None:
            self._tell(f"{self.number:6} {text}")

    @property
    def digest(self) -> str:
        """Tell this run from any other."""
        return self._hash.hexdigest()


class Hazards:
    """What every call goes through before and after it does its work.

    Attributes:
        calls: How many calls there were that can fail.
        changes: How many of them could leave something behind.
        crash_at: The change at which the process ends, counted from 1; 0 is never.
        crash_in: The call that it must be at, or the named point; the first such one from
            `crash_at` on.
        faults: What fails.
        sound: Nothing is traced, counted or failed: the tests themselves look.
    """

    def __init__(
        self,
        rng: random.Random,
        scheduler: Scheduler | None,
        faults: Faults | None,
        trace: Trace | None,
        counts: Counts | None,
    ) -> None:
        self.faults = faults or Faults()
        self.calls = 0
        self.changes = 0
        self.crash_at = 0
        self.crash_in = ""
        self.sound = scheduler is None
        self._rng = rng
        self._scheduler = scheduler
        self._trace = trace or Trace()
        self._counts = counts or Counts()
        self._dead = False
        self._point = ""

    def die(self) -> None:
        """End the process here."""
        self._dead = True
        raise Crash

    def _begin(
        self,
        call: str,
        path: str,
        partly: Callable[[float], None] | None = None,
        failing: Callable[[], None] | None = None,
    ) -> None:
        """Let others go on, then maybe crash or fail.

        Args:
            call: Its name.
            path: What it is about.
            partly: Does a part of it, from 0 to 1, before the crash or the failure.
            failing: Does what a failure leaves behind besides.
        """
        if self.sound:
            return
        if self._dead:
            raise Crash
        assert self._scheduler is not None
        self._scheduler.pause()
        self.calls += 1
        self._point = points.point(call, self._scheduler.origin) if call in points.CALLS else ""
        if call in CHANGES:
            self.changes += 1
            if self._is_due(call, f"before {self._point}"):
                during = not self.crash_in.startswith("before") and self._rng.random() < 0.6
                if during and partly is not None:
                    partly(self._rng.random())
                    self._crash("in", call, path)
                self._crash("before", call, path)
        error = self.faults.strike(call, self.calls, self._rng)
        if error is None:
            return
        name = "short write" if error == SHORT else errno.errorcode[error]
        self._counts.faults[f"{call} {name}"] += 1
        self._note(f"fault {call} {path} {name}")
        if partly is not None and (error == SHORT or self._rng.random() < 0.7):
            partly(self._rng.random())
        if failing is not None:
            failing()
        raise OSError(error or errno.EIO, "injected", path)

    def _end(self, call: str, path: str, what: str = "") -> None:
        if self.sound:
            return
        self._note(f"{call} {path} {what} {self._point and f'[{self._point}]'}".rstrip())
        soon = self.changes + 1 == self.crash_at and not self.crash_in
        if (soon and self._rng.random() < 0.3) or self._is_due(f"after {self._point}"):
            self._crash("after", call, path)

    def _is_due(self, *places: str) -> bool:
        """Tell whether the process is to end at one of these places."""
        reached = 0 < self.crash_at <= self.changes
        return reached and (self.crash_in in places or (not self.crash_in and len(places) > 1))

    def _crash(self, when: str, call: str, path: str) -> None:
        self._counts.crashes[f"{when} {call}"] += 1
        if self._point:
            self._counts.points[f"{when} {self._point}"] += 1
        self._note(f"crash {when} {self._point or call} {path}")
        self.die()

    def _stand(self) -> None:
        """Let others go on in the middle of a call."""
        if self._scheduler is not None and not self.sound:
            self._scheduler.pause(always=True)
            if self._dead:
                raise Crash

    def _take_time(self) -> None:
        if self._scheduler is not None and not self.sound:
            slow = self.faults.slow and self._rng.random() < self.faults.slow
            if slow:
                self._counts.faults["slow sync"] += 1
            self._scheduler.now += self._rng.uniform(*SLOW_SECONDS) if slow else 0.0002

    def _note(self, text: str) -> None:
        if not self.sound:
            self._trace.note(text)
