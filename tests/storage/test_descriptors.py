from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from storage.descriptors import Descriptors
from tests.storage.fragile_disk import FragileDisk


@pytest.fixture
def disk(tmp_path: Path) -> FragileDisk:
    for number in range(20):
        (tmp_path / str(number)).write_bytes(b"")
    return FragileDisk(tmp_path)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_file_is_opened_once_for_all_its_users(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 4)
    first, second = descriptors.acquire("1"), descriptors.acquire("1")
    assert first is second and first.pins == 2
    assert disk.count("open") == 1
    assert descriptors.peek("1") is first
    assert descriptors.peek("2") is None
    descriptors.close()


def test_no_more_are_open_than_the_bound_and_the_least_used_go_first(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 3)
    for number in range(6):
        descriptors.release(descriptors.acquire(str(number)))
        if number == 4:
            descriptors.release(descriptors.acquire("1"))
    descriptors.trim()
    assert len(descriptors) == 3
    assert [number for number in range(6) if descriptors.peek(str(number))] == [1, 4, 5]
    descriptors.close()


def test_what_is_pinned_stays_open_whatever_the_bound(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 2)
    held = [descriptors.acquire(str(number)) for number in range(5)]
    descriptors.trim()
    assert all(is_open(each.number) for each in held)
    for each in held:
        descriptors.release(each)
    for _ in range(3):
        descriptors.trim()
    assert len(descriptors) == 2
    assert sum(is_open(each.number) for each in held) == 2
    descriptors.close()


def test_a_distrusted_descriptor_is_opened_anew_and_closed_when_nobody_holds_it(
    disk: FragileDisk,
) -> None:
    descriptors = Descriptors(disk, 4)
    old = descriptors.acquire("1")
    descriptors.distrust("1")
    fresh = descriptors.acquire("1")
    assert fresh is not old and fresh.number != old.number
    descriptors.trim()
    assert is_open(old.number), "a checkpoint may still want to sync it"
    descriptors.release(old)
    descriptors.trim()
    assert not is_open(old.number)
    assert descriptors.peek("1") is fresh
    descriptors.close()
    assert not is_open(fresh.number)


def test_what_is_distrusted_and_still_held_counts_as_open(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 2)
    held = descriptors.acquire("1")
    descriptors.distrust("1")
    for number in range(2, 5):
        descriptors.release(descriptors.acquire(str(number)))
    descriptors.trim()
    assert len(descriptors) == 2
    assert is_open(held.number)
    assert descriptors.peek("4") is not None
    descriptors.close()


def test_a_file_that_cannot_be_opened_leaves_nothing_behind(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 4)
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            descriptors.acquire("missing")
    assert len(descriptors) == 0
    assert descriptors.acquire("made", create=True).pins == 1
    descriptors.close()


def test_many_threads_may_acquire_and_release_while_one_trims(disk: FragileDisk) -> None:
    descriptors = Descriptors(disk, 3)
    faults: list[BaseException] = []
    ended = threading.Event()

    def use(start: int) -> None:
        try:
            for step in range(400):
                held = descriptors.acquire(str((start + step * 7) % 20))
                os.fstat(held.number)
                descriptors.release(held)
        except BaseException as fault:
            faults.append(fault)

    def trim() -> None:
        while not ended.is_set():
            descriptors.trim()

    trimmer = threading.Thread(target=trim)
    users = [threading.Thread(target=use, args=(start,)) for start in range(4)]
    for thread in (trimmer, *users):
        thread.start()
    for thread in users:
        thread.join()
    ended.set()
    trimmer.join()
    assert faults == []
    for _ in range(4):
        descriptors.trim()
    assert len(descriptors) == 3
    descriptors.close()
