"""What a history is like: its sizes, and how its lives end."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from storage import Options

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
    batch_lines_max: int
    pending_bytes_max: int
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
            batch_lines_max=rng.choice([5, 30]),
            pending_bytes_max=rng.choice([20_000, 1 << 26]),
            compact_dead_bytes=rng.choice([300, 1000, 6000, 1 << 30]),
            reap_seconds=rng.choice([5.0, 86_400.0, 86_400.0]),
            orgs=tuple(ORGS[: rng.choice([1, 1, 2])]),
        )

    def options(self, data_dir: Path) -> Options:
        """Return what storage is opened with."""
        return Options(
            data_dir=data_dir,
            journal_segment_bytes=self.segment_bytes,
            disk_reserve_bytes=1,
            pending_bytes_max=self.pending_bytes_max,
            checkpoint_seconds=self.checkpoint_seconds,
            dirty_files_max=self.dirty_files_max,
            open_files_max=self.open_files_max,
            compact_dead_ratio=0.2,
            compact_dead_bytes=self.compact_dead_bytes,
            reap_seconds=self.reap_seconds,
        )


@dataclass(frozen=True, slots=True)
class Doom:
    """How a life goes and ends, where it is not left to chance.

    Attributes:
        crash_at: The change of the disk at which the process ends; 0 if it is closed instead.
        crash_in: The call in or before which it ends, or the named point before or after which it
            does (`before journal.Journal.rotate.write_durable`); the first such one from there on.
        power: The power goes with it.
        faulty: The calls that fail now and then.
        faulty_from: The first call, counted over the life, that may.
        copied: A copy is made meanwhile; what follows befalls the copy too.
    """

    crash_at: int = 0
    crash_in: str = ""
    power: bool = False
    faulty: frozenset[str] = frozenset()
    faulty_from: int = 0
    copied: bool = False
