"""A copy made while the server writes holds every write that was acknowledged before it began."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.faults.asking import create
from tests.faults.conftest import Serve
from tests.faults.faulty_server import TINY, check
from tests.faults.ledger import Ledger
from tests.faults.writers import Writers

Pause = Callable[[], None]
Copy = Callable[[Path, Path, Pause], None]
JOURNAL, ORGS = "journal", "orgs"


def cp(source: Path, target: Path, _: Pause) -> None:
    # 1 is a file that had gone when its turn came.
    _run(["cp", "-a", str(source), str(target)], fine=(0, 1))


def tar(source: Path, target: Path, _: Pause) -> None:
    archive = target.with_suffix(".tar")
    _run(["tar", "-C", str(source), "-cf", str(archive), "."], fine=(0, 1))
    target.mkdir(mode=0o700)
    _run(["tar", "-C", str(target), "-xf", str(archive)])


def rsync(source: Path, target: Path, _: Pause) -> None:
    _run(["rsync", "-a", f"{source}/", str(target)], fine=(0, 24))


def slow_rsync(source: Path, target: Path, _: Pause) -> None:
    _run(["rsync", "-a", "--bwlimit=1m", f"{source}/", str(target)], fine=(0, 24))


def in_parts(order: Sequence[str]) -> Copy:
    """Copy the parts of a directory one after the other, with many writes in between."""

    def copy(source: Path, target: Path, pause: Pause) -> None:
        target.mkdir(mode=0o700)
        names = [each.name for each in source.iterdir() if each.name not in order]
        for name in (*order, *names):
            _run(["cp", "-a", str(source / name), str(target)], fine=(0, 1))
            pause()

    return copy


def file_by_file(seed: str) -> Copy:
    """Copy all files that there are, in no order at all, with a few writes in between."""

    def copy(source: Path, target: Path, pause: Pause) -> None:
        files = sorted(each for each in source.rglob("*") if each.is_file())
        random.Random(seed).shuffle(files)
        for number, file in enumerate(files):
            place = target / file.relative_to(source)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _run(["cp", "-a", str(file), str(place)], fine=(0, 1))
            if number % 20 == 0:
                pause()

    return copy


COPIES: dict[str, Copy] = {
    "cp": cp,
    "tar": tar,
    "rsync": rsync,
    "slow-rsync": slow_rsync,
    "journal-first": in_parts([JOURNAL, ORGS]),
    "journal-last": in_parts([ORGS, JOURNAL]),
    "shuffled-1": file_by_file("1"),
    "shuffled-2": file_by_file("2"),
}
LEISURELY = """
[server]
body_bytes_max = 65536
[storage]
journal_segment_bytes = 4194304
disk_reserve_bytes = 0
"""


@pytest.mark.parametrize(
    ("name", "config"),
    [
        *[pytest.param(name, TINY, id=f"{name}-during-checkpoints") for name in COPIES],
        *[
            pytest.param(name, LEISURELY, id=f"{name}-in-the-journal-alone")
            for name in ("rsync", "journal-first", "journal-last")
        ],
    ],
)
def test_a_live_copy_holds_what_was_acknowledged_before_it_began(
    serve: Serve, tmp_path: Path, name: str, config: str
) -> None:
    server, ledger = serve(config=config), Ledger()
    target = tmp_path / "copy" / "data"
    target.parent.mkdir()
    with Writers(ledger, server.port, server.key, seed=name) as writers:
        writers.wait_for(150)
        acknowledged = ledger.freeze()
        COPIES[name](server.data_dir, target, lambda: writers.wait_for(10))
        writers.wait_for(20)

    checked = check(target)
    assert checked.returncode == 0, checked
    copy = serve(target, config=config)
    found = copy.found(server.key)
    ledger.judge(found, acknowledged)
    ledger.judge(server.found())

    # The copy lives its own life from here on.
    ledger.settle(found)
    assert create(copy, ledger, "its own", ["first"]).status == 200
    ledger.judge(copy.found(server.key))
    assert copy.terminate() == 0
    checked = check(target)
    assert checked.returncode == 0, checked


def _run(command: Sequence[str], *, fine: Sequence[int] = (0,)) -> None:
    assert shutil.which(command[0]), f"these tests need {command[0]}: apt-get install {command[0]}"
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode in fine, f"{' '.join(command)}: {ran.returncode} {ran.stderr}"
