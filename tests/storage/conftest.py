from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from storage import Options, Storage
from tests.storage.fragile_disk import FragileDisk

Open = Callable[..., Awaitable[Storage]]

SEGMENT_BYTES = 256 * 1024


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def options(data_dir: Path) -> Options:
    """Settings with a small journal: its zeros are written for each new directory."""
    return Options(data_dir=data_dir, journal_segment_bytes=SEGMENT_BYTES)


@pytest.fixture
def disk(data_dir: Path) -> FragileDisk:
    return FragileDisk(data_dir)


@pytest.fixture
async def opened() -> AsyncIterator[list[Storage]]:
    """Every storage that a test opened and did not close, closed at its end."""
    storages: list[Storage] = []
    yield storages
    for storage in storages:
        await storage.close()


@pytest.fixture
async def storage(
    options: Options, disk: FragileDisk, opened: list[Storage]
) -> AsyncIterator[Storage]:
    """A new data directory on a disk that can be told to fail."""
    made = await Storage.open(options, disk)
    opened.append(made)
    yield made
    disk.before = lambda call, path: None
