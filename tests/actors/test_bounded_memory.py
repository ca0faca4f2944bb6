"""A million threads in turn are for `make bench-memory`; six thousand tell the same."""

from __future__ import annotations

import asyncio
import os
from itertools import islice
from pathlib import Path

from bench import datasets
from bench.datasets import Thread
from ragen_actor.actors import Limits
from storage import Options
from tests.actors.house import done, opened

THREADS = 6_000
AT_ONCE = 64
CAP_BYTES = 4 << 20
GROWTH_BYTES_MAX = CAP_BYTES + (48 << 20)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_threads_touched_in_turn_never_take_more_than_the_cap(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    datasets.make(data_dir)
    files = dict.fromkeys(range(1, THREADS + 1), 1)
    datasets.write_organisation(data_dir, "acme", threads=THREADS, files=files)
    booked, most_resident, grown = asyncio.run(touched(data_dir))
    print(f"booked {booked} of {CAP_BYTES} at most, {most_resident} actors, grown by {grown}")
    assert booked <= CAP_BYTES
    assert AT_ONCE < most_resident < THREADS / 4
    assert grown <= GROWTH_BYTES_MAX


async def touched(data_dir: Path) -> tuple[int, int, int]:
    """Return the most bytes booked, the most actors, and what the process grew by."""
    limits = Limits(resident_bytes_max=CAP_BYTES)
    options = Options(data_dir, journal_segment_bytes=1 << 20, open_files_max=256)
    async with opened(options, limits=limits) as house:
        await done(house.list_threads())
        before, booked, actors = resident_bytes(), 0, 0
        numbers = iter(range(1, THREADS + 1))
        while batch := list(islice(numbers, AT_ONCE)):
            pages = [done(house.messages(Thread(number).id)) for number in batch]
            assert all(len(page["data"]) == 1 for page in await asyncio.gather(*pages))
            booked = max(booked, house.registry.resident_bytes)
            actors = max(actors, len(house.registry))
        return booked, actors, resident_bytes() - before
