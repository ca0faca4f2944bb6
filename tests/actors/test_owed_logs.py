"""A file that does not take its lines: its thread is read on, also after its actor has left."""

from __future__ import annotations

import pytest

from ragen_actor.actors import Limits
from ragen_actor.errors import OutcomeUnknown, Unavailable
from storage import Options
from tests.actors.house import done, opened, refused, until
from tests.storage.fragile_disk import FragileDisk, failing

AT_ONCE = Limits(resident_bytes_max=1)
"""Whoever is idle leaves as soon as another is asked."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)


async def test_a_thread_that_left_memory_while_it_is_owed_lines_is_read_on(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(options, disk, AT_ONCE) as house:
        thread_id, other = await house.thread("kept"), await house.thread("other")
        disk.before = failing("write", suffix=f"{thread_id}.jsonl")
        await refused(house.append(thread_id, "owed"), OutcomeUnknown)
        for _ in range(3):
            assert await house.texts(other) == ["other"]
            assert await house.texts(thread_id) == ["kept"]
            await refused(house.append(thread_id, "refused"), Unavailable)
        disk.before = lambda call, path: None
        await until(lambda: house.storage.trouble is None)
        await done(house.append(thread_id, "next"))
        assert await house.texts(thread_id) == ["kept", "owed", "next"]


async def test_a_catalogue_that_left_memory_while_it_is_owed_a_thread_gives_its_id_to_no_other(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(options, disk, AT_ONCE) as house:
        kept = await house.thread()
        disk.before = failing("write", suffix="acme/catalog.jsonl")
        await refused(house.create("owed"), OutcomeUnknown)
        await house.thread(org="globex")
        assert [each["id"] for each in (await done(house.list_threads()))["data"]] == [kept]
        disk.before = lambda call, path: None
        await until(lambda: house.storage.trouble is None)
        house.time -= 3600
        newest = await house.thread("next")
        listed = [each["id"] for each in (await done(house.list_threads("order=asc")))["data"]]
        assert len(listed) == 3 and listed == sorted(listed)
        assert (listed[0], listed[2]) == (kept, newest)
