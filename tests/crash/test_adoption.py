"""The power is cut at every change that the adoption of a copy makes: it is simply done again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storage import Options, Storage
from storage.adoption import adopt
from storage.datadir import thread_path
from storage.descriptors import Descriptors
from storage.journal import Journal
from storage.recovery import recover
from tests.crash.fake_disk import FakeDisk
from tests.crash.fake_files import Directory, FileSystem
from tests.crash.schedule import Crash
from tests.storage.samples import ORG, created, message, thread_id

SEGMENT_BYTES = 16 * 1024
THREADS = 24
TRIES = 6
CHANGES = frozenset({"create", "write", "write_durable", "sync", "truncate", "replace", "unlink"})


class CutDisk(FakeDisk):
    """A disk whose power goes at one of the changes made to it.

    Attributes:
        left: Changes until then.
    """

    left = 1 << 30

    def _begin(
        self,
        call: str,
        path: str,
        partly: Callable[[float], None] | None = None,
        failing: Callable[[], None] | None = None,
    ) -> None:
        self.left -= call in CHANGES
        if self.left < 0:
            if partly is not None:
                partly(self._rng.random())
            raise Crash


@pytest.fixture
async def copy(tmp_path: Path) -> dict[str, bytes]:
    """A copy that passed every other thread's file before the thread was created."""
    options = Options(tmp_path / "data", journal_segment_bytes=SEGMENT_BYTES, disk_reserve_bytes=0)
    storage = await Storage.open(replace(options))
    catalog = await storage.open_catalog(ORG)
    for number in range(THREADS):
        await created(storage, catalog, number, [message(1)])
    await storage.close()
    for number in range(0, THREADS, 2):
        (options.data_dir / thread_path(ORG, thread_id(number))).unlink()
    files = (each for each in sorted(options.data_dir.rglob("*")) if each.is_file())
    return {str(each.relative_to(options.data_dir)): each.read_bytes() for each in files}


def laid_out(copy: dict[str, bytes]) -> FileSystem:
    files = FileSystem()
    for path, data in copy.items():
        *folders, name = path.split("/")
        place = files.root
        for folder in folders:
            child = place.names.setdefault(folder, Directory())
            assert isinstance(child, Directory)
            place = child
        place.names[name] = file = files.new_file()
        file.write(0, data)
    files.sync_everything()
    return files


def start(disk: FakeDisk) -> None:
    outcome = recover(disk, is_copy=True)
    assert outcome.faults == []
    journal = Journal(disk, SEGMENT_BYTES, lambda: 0.0)
    journal.resume(outcome.use, outcome.number)
    adopt(disk, Descriptors(disk, 4), journal, now=5)


def contents(files: FileSystem) -> dict[str, bytes]:
    return {path: bytes(file.data) for path, file in files.files() if path.startswith("orgs/")}


def test_an_adoption_that_is_cut_off_anywhere_is_done_again_and_leaves_nothing_torn(
    copy: dict[str, bytes],
) -> None:
    undisturbed = laid_out(copy)
    disk = CutDisk(undisturbed, random.Random(0))
    start(disk)
    expected = contents(undisturbed)
    assert len(expected) == 1 + THREADS // 2
    for change in range((1 << 30) - disk.left):
        for seed in range(TRIES):
            rng = random.Random(f"{change} {seed}")
            files = laid_out(copy)
            cut = CutDisk(files, rng)
            cut.left = change
            with pytest.raises(Crash):
                start(cut)
            files.power_cut(rng)
            start(FakeDisk(files, rng))
            assert contents(files) == expected, (change, seed)
