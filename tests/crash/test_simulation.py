"""A few hundred histories; `make crash` runs thousands."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.durable import Disk
from tests.crash.fake_disk import FakeDisk
from tests.crash.histories import run_history

ROOT = Path(__file__).resolve().parents[2]
CHUNKS = [range(start, start + 20) for start in range(0, 200, 20)]


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_no_history_loses_tears_or_reorders_what_was_acknowledged(seeds: range) -> None:
    for seed in seeds:
        try:
            run_history(seed)
        except Exception as error:
            error.add_note(f"replay: python -m tests.crash --seed {seed} --trace")
            raise


def test_one_seed_is_one_history() -> None:
    assert [run_history(seed)[1] for seed in (7, 8)] == [run_history(seed)[1] for seed in (7, 8)]


def test_one_seed_is_one_history_in_every_process() -> None:
    hashes = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash", "--seed", "9", "--hash"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1


def test_the_simulated_disk_has_every_call_of_the_real_one() -> None:
    for name, call in inspect.getmembers(Disk, inspect.isfunction):
        touches = {"os", "fcntl", "filesystem"} & set(call.__code__.co_names)
        only_paths = set(call.__code__.co_names) <= {"os", "path", "dirname"} | set(dir(Disk))
        if touches and not only_paths and name != "__init__":
            assert name in vars(FakeDisk), f"{name} would reach the real disk"
