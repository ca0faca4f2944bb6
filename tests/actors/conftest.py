from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import Options
from tests.actors.house import House, opened
from tests.storage.fragile_disk import FragileDisk


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(data_dir=tmp_path / "data", journal_segment_bytes=256 * 1024)


@pytest.fixture
def disk(options: Options) -> FragileDisk:
    return FragileDisk(options.data_dir)


@pytest.fixture
async def house(options: Options, disk: FragileDisk) -> AsyncIterator[House]:
    async with opened(options, disk) as house:
        yield house
        disk.before = lambda call, path: None
