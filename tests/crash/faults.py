"""What goes wrong at which call of the fake disk, from a seed."""

from __future__ import annotations

import errno
import random
from collections import Counter
from dataclasses import dataclass, field

CHANGES = frozenset(
    {
        "create",
        "write",
        "write_durable",
        "sync",
        "sync_directory",
        "sync_everything",
        "truncate",
        "mkdir",
        "replace",
        "unlink",
    }
)
ERRORS = {
    "open": (errno.EIO, errno.EMFILE),
    "create": (errno.EIO, errno.ENOSPC),
    "read": (errno.EIO,),
    "size": (errno.EIO,),
    "write": (errno.EIO, errno.ENOSPC, 0),
    "write_durable": (errno.EIO, errno.ENOSPC, 0),
    "sync": (errno.EIO, errno.ENOSPC),
    "sync_directory": (errno.EIO,),
    "sync_everything": (errno.EIO,),
    "truncate": (errno.EIO,),
    "mkdir": (errno.ENOSPC, errno.EIO),
    "replace": (errno.EIO, errno.ENOSPC),
    "unlink": (errno.EIO,),
    "free_bytes": (errno.EIO,),
}
"""By call, what it may fail with; 0 is a short write."""

SHORT = 0


@dataclass(slots=True)
class Counts:
    """What was done to the storage, by kind; added up over histories."""

    histories: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Take another's numbers in."""
        self.histories += other.histories
        self.lives.update(other.lives)
        self.crashes.update(other.crashes)
        self.points.update(other.points)
        self.faults.update(other.faults)
        self.units.update(other.units)


@dataclass(slots=True)
class Faults:
    """The faults of one life.

    Attributes:
        chance: Of any call to fail, while `window` lasts.
        window: The first and last call that may fail, counted over the life.
        only: The calls that may fail.
        slow: The chance of a sync to take seconds.
        full: The chance that a look at the free space finds none.
        injected: How many there were.
    """

    chance: float = 0.0
    window: tuple[int, int] = (0, 0)
    only: frozenset[str] = frozenset()
    slow: float = 0.0
    full: float = 0.0
    injected: int = 0

    @classmethod
    def plan(cls, rng: random.Random) -> Faults:
        """Choose: most lives have a sound disk."""
        kind = rng.random()
        if kind < 0.5:
            return cls()
        if kind < 0.68:
            # A disk that loses what it was given: what syncs must find out, and redo.
            only = frozenset({"sync", "sync_everything"})
            return cls(rng.choice([0.1, 0.4]), (int(rng.expovariate(1 / 60)), 1 << 30), only)
        calls = sorted(ERRORS)
        begin = int(rng.expovariate(1 / 150))
        length = rng.choice([1, 5, 40, 200])
        one = frozenset({rng.choice(calls)})
        several = frozenset(rng.sample(calls, 3))
        writing = frozenset({"write", "write_durable", "sync", "sync_directory", "sync_everything"})
        return cls(
            chance=rng.choice([0.02, 0.2, 1.0]) if length > 5 else 1.0,
            window=(begin, begin + length),
            only=rng.choice([one, several, writing, frozenset(calls)]),
            slow=rng.choice([0.0, 0.0, 0.05]),
            full=rng.choice([0.0, 0.0, 0.3]),
        )

    def strike(self, call: str, number: int, rng: random.Random) -> int | None:
        """Return an errno, `SHORT`, or None when the call succeeds."""
        if not self.window[0] <= number <= self.window[1] or call not in self.only:
            return None
        if self.chance < 1 and rng.random() >= self.chance:
            return None
        self.injected += 1
        return rng.choice(ERRORS[call])

    def end(self) -> None:
        """Let the disk be sound from now on."""
        self.window = (0, -1)
        self.slow = self.full = 0.0
