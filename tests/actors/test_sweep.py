"""A sweep has every log rewritten by its owner, and nobody who asks meanwhile notices."""

from __future__ import annotations

import asyncio

import pytest

from ragen_actor.actors.sweep import Report, sweep
from ragen_actor.errors import Unavailable
from storage import Options
from tests.actors.house import House, done, opened, until
from tests.storage.fragile_disk import FragileDisk, Held


async def swept(house: House, *, now: bool = True) -> Report:
    report = Report()
    await sweep(house.storage, house.registry, report, now=now)
    return report


async def worn(house: House, *, org: str = "acme") -> str:
    """A thread of three messages that had five."""
    thread = await house.thread("a", "b", "c", "d", "e", org=org)
    for message in (await house.ids(thread, org=org))[1:3]:
        await done(house.delete_message(thread, message, org=org))
    return thread


async def test_every_worn_log_of_every_organisation_is_rewritten_and_read_as_before(
    house: House,
) -> None:
    threads = {org: await worn(house, org=org) for org in ("acme", "globex")}
    await house.thread("sound")
    report = await swept(house)
    assert (report.logs, report.compacted, report.failed) == (5, 2, 0)
    assert report.saved_bytes > 0
    for org, thread in threads.items():
        assert await house.texts(thread, org=org) == ["a", "d", "e"]
    assert (await swept(house)).compacted == 0


async def test_the_catalogue_forgets_deleted_threads_with_their_files(
    house: House, options: Options
) -> None:
    kept, gone = await house.thread("a"), await house.thread("b")
    await done(house.delete(gone))
    report = await swept(house)
    assert (report.removed, report.compacted) == (1, 1)
    assert not list(options.data_dir.rglob(f"{gone}*"))
    catalog = (options.data_dir / "orgs/acme/catalog.jsonl").read_text()
    assert kept in catalog and gone not in catalog


async def test_without_haste_nothing_is_done_that_is_not_due(house: House) -> None:
    await worn(house)
    report = await swept(house, now=False)
    assert (report.logs, report.compacted, report.removed) == (2, 0, 0)


async def test_who_was_not_resident_before_is_not_so_afterwards(options: Options) -> None:
    async with opened(options) as house:
        threads = [await worn(house) for _ in range(5)]
    async with opened(options) as house:
        await house.texts(threads[2])
        residents = len(house.registry)
        report = await swept(house)
        assert report.compacted == 5
        assert len(house.registry) == residents
        assert [await house.texts(each) for each in threads] == [["a", "d", "e"]] * 5


async def test_a_thread_is_asked_and_answers_while_it_is_rewritten(
    house: House, disk: FragileDisk
) -> None:
    thread = await worn(house)
    disk.before = (writing := Held("sync", suffix=".new"))
    sweeping = asyncio.create_task(swept(house))
    await until(writing.reached.is_set)
    waiting = house.append(thread, "f")
    deleting = house.delete(thread)
    writing.let_go()
    assert (await sweeping).failed == 0
    assert (await done(waiting))["content"][0]["text"]["value"] == "f"
    assert (await done(deleting))["deleted"] is True


async def test_a_log_that_cannot_be_opened_is_counted_and_the_others_are_rewritten(
    options: Options,
) -> None:
    async with opened(options) as house:
        broken, whole = await worn(house), await worn(house)
    path = next(options.data_dir.rglob(f"{broken}.jsonl"))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    async with opened(options) as house:
        report = await swept(house)
        assert (report.failed, report.compacted) == (1, 1)
        assert await house.texts(whole) == ["a", "d", "e"]


async def test_a_server_that_stops_ends_the_sweep(options: Options, disk: FragileDisk) -> None:
    async with opened(options, disk) as house:
        for _ in range(3):
            await worn(house)
        disk.before = (writing := Held("sync", suffix=".new"))
        sweeping = asyncio.create_task(swept(house))
        await until(writing.reached.is_set)
        closing = asyncio.create_task(house.registry.close())
        await asyncio.sleep(0)
        writing.let_go()
        await closing
        with pytest.raises(Unavailable):
            await sweeping
