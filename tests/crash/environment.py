"""Puts the simulated world where storage would find the real one."""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import pkgutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import storage
import storage.check
import storage.committer
import storage.engine
from tests.crash.fake_disk import FakeDisk
from tests.crash.fake_path import FakePath
from tests.crash.schedule import Scheduler

MODULES: list[ModuleType] = [
    importlib.import_module(f"storage.{each.name}")
    for each in pkgutil.iter_modules(storage.__path__)
]
_REPLACED = {"threading": threading, "time": time, "wait": concurrent.futures.wait}


class _Lock:
    """A lock that lets the scheduler choose who goes on while it is held."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held = False

    def __enter__(self) -> None:
        self._scheduler.wait_until(lambda: not self._held)
        self._held = True

    def __exit__(self, *error: object) -> None:
        self._held = False


class _Os:
    """The module `os` for those that hold the directory's lock; all else is the real one's."""

    def __init__(self, disk: FakeDisk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def stat(self, target: int | FakePath) -> SimpleNamespace | os.stat_result:
        if isinstance(target, FakePath):
            return target.stat()
        return SimpleNamespace(st_ino=self._disk.inode(target))

    def statvfs(self, target: int | FakePath) -> SimpleNamespace:
        return SimpleNamespace(f_fsid=1)

    def close(self, descriptor: int) -> None:
        self._disk.close(descriptor)


@contextmanager
def simulated(disk: FakeDisk, scheduler: Scheduler, **constants: int) -> Iterator[None]:
    """Let storage lock, wait, look at the clock and check in the simulated world.

    Args:
        disk: Of the process that runs meanwhile.
        scheduler: Its time and its jobs.
        **constants: Of the module `storage.committer` or `storage.engine`, by name.
    """

    def lock(root: Path) -> int:
        sound, disk.sound = disk.sound, True
        try:
            return disk.open("lock", create=True)
        finally:
            disk.sound = sound

    stand_ins: dict[str, object] = {
        "threading": SimpleNamespace(Lock=lambda: _Lock(scheduler), RLock=None),
        "time": SimpleNamespace(
            time=scheduler.clock, monotonic=scheduler.clock, perf_counter=scheduler.clock
        ),
        "wait": scheduler.wait,
    }
    changes: list[tuple[ModuleType, str, object]] = []
    for module in MODULES:
        for name, real in _REPLACED.items():
            if getattr(module, name, None) is real:
                changes.append((module, name, stand_ins[name]))
        if getattr(module, "os", None) is os and module.__name__ != "storage.durable":
            changes.append((module, "os", _Os(disk)))
        changes += [
            (module, name, value) for name, value in constants.items() if name in vars(module)
        ]
    changes.append((storage.engine, "lock", lock))
    saved = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)


@contextmanager
def checking(disk: FakeDisk) -> Iterator[Callable[[], list[str]]]:
    """Give what `storage.check` finds in a simulated directory, as text."""
    with patch.object(storage.check, "Disk", lambda root: disk):
        yield lambda: [
            f"{each.path}:{each.offset}: {each.reason}" for each in storage.check.check(disk.root)
        ]
