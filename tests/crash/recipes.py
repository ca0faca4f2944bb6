"""How to bring a history to a named point: what befalls it before, and with which seeds."""

from __future__ import annotations

from tests.crash.settings import Doom

_FAILING = frozenset({"sync", "sync_everything"})

FIRST_SEEDS = {
    "compaction.Compactor._compact.unlink": 8,
    "draft.Draft.keep_tombstone.sync_directory": 13,
    "opening.Opener.thread.sync_directory": 9,
    "reaper.Reaper._remove.unlink": 13,
    "recovery._redo.sync": 7,
}
"""Where looking for a history begins; all later ones are looked at too."""

UNREACHED = {
    "adoption._Adoption._append": "cut off anywhere: tests/crash/test_adoption.py",
    "gap.": "only damage makes a gap: tests/storage/test_recovery.py",
    "recovery._set_aside": "only a damaged journal is set aside: tests/storage/test_recovery.py",
    "recovery.cut_torn_tail": "only damage and torn copies: tests/storage/test_adoption.py",
    "repair.": "no server runs: tests/storage/test_repair.py",
    "salvage.": "no server runs: tests/storage/test_repair.py",
}
"""What no history comes to, for every file is sound, and where it is tested instead."""


def to_end_at(place: str, seed: int) -> list[Doom]:
    """Return dooms that may end a life at a place, `before` or `after` a named point."""
    at, power = 1 + seed * 7 % 60, seed % 4 > 1
    name = place.partition(" ")[2]
    if name.startswith("checkpoint.Checkpointer.rewrite"):
        return [Doom(at, place, power=power, faulty=_FAILING)]
    if name.startswith("adoption."):
        return [Doom(copied=True), Doom(1, place, power=power)]
    if name.startswith(("recovery.", "opening.")) or seed % 3 == 1:
        return [Doom(22 + seed % 60, "write_durable"), Doom(1, place, power=power)]
    return [Doom(at, place, power=power)]
