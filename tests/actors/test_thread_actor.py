"""One thread's owner: what it does in which order, and what each asker is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ragen_actor.actors import Limits
from ragen_actor.errors import (
    Damaged,
    InvalidRequest,
    MessageNotFound,
    OutcomeUnknown,
    ThreadNotFound,
    Unavailable,
)
from storage import Options, Storage
from storage.datadir import catalog_path, thread_path
from tests.actors.house import NOW, Answer, House, done, opened, refused, texts_of, until
from tests.storage.fragile_disk import FragileDisk, Held, failing


def allow(call: str, path: str) -> int | None:
    """Let everything happen."""
    return None


async def test_messages_stand_in_the_order_in_which_they_were_asked_for(house: House) -> None:
    thread = await house.thread("first")
    answers = [house.append(thread, str(place)) for place in range(50)]
    told = [await done(answer) for answer in answers]
    assert await house.texts(thread) == ["first", *[str(place) for place in range(50)]]
    assert await house.ids(thread) == [*(await house.ids(thread))[:1], *[m["id"] for m in told]]


async def test_appends_to_one_thread_do_not_wait_for_each_other(house: House) -> None:
    thread = await house.thread()
    before = house.syncs
    await asyncio.gather(*[done(house.append(thread, str(place))) for place in range(64)])
    assert house.syncs - before == 1


async def test_what_is_answered_is_what_is_stored_and_served(house: House) -> None:
    thread = await house.thread()
    told = await done(house.append(thread, "hello"))
    assert await done(house.get_message(thread, told["id"])) == told
    assert (await done(house.messages(thread)))["data"] == [told]


async def test_nobody_sees_a_message_before_it_is_durable(house: House, disk: FragileDisk) -> None:
    thread = await house.thread("old")
    disk.before = held = Held("batch")
    answer = house.append(thread, "new")
    await until(held.reached.is_set)
    assert await house.texts(thread) == ["old"]
    assert not answer.done()
    held.let_go()
    await done(answer)
    assert await house.texts(thread) == ["old", "new"]


async def test_a_modify_waits_for_a_modify_of_the_same_message(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread("a")
    (message,) = await house.ids(thread)
    disk.before = held = Held("batch")
    first = house.modify_message(thread, message, metadata={"a": "1"})
    second = house.modify_message(thread, message, metadata={"b": "2"})
    await until(held.reached.is_set)
    held.let_go()
    assert (await done(first))["metadata"] == {"a": "1"}
    assert (await done(second))["metadata"] == {"a": "1", "b": "2"}
    assert disk.count("batch") == 3


async def test_modifies_of_different_messages_share_one_sync(house: House) -> None:
    thread = await house.thread(*map(str, range(20)))
    before = house.syncs
    await asyncio.gather(
        *[
            done(house.modify_message(thread, message, metadata={"k": "v"}))
            for message in await house.ids(thread)
        ]
    )
    assert house.syncs - before == 1


async def test_a_get_behind_a_waiting_modify_is_answered_after_it(house: House) -> None:
    thread = await house.thread("a")
    (message,) = await house.ids(thread)
    answers = [
        house.modify_message(thread, message, metadata={"n": str(place)}) for place in range(5)
    ]
    read = house.get_message(thread, message)
    await asyncio.gather(*map(done, answers))
    assert (await done(read))["metadata"] in ({"n": "3"}, {"n": "4"})
    assert (await done(house.get_message(thread, message)))["metadata"] == {"n": "4"}


async def test_a_modify_behind_a_delete_of_the_message_finds_it_gone(house: House) -> None:
    thread = await house.thread("a", "b")
    first, second = await house.ids(thread)
    gone = house.delete_message(thread, first)
    late = house.modify_message(thread, first, metadata={"k": "v"})
    again = house.delete_message(thread, first)
    assert (await done(gone))["deleted"] is True
    await refused(late, MessageNotFound)
    await refused(again, MessageNotFound)
    await refused(lambda: house.get_message(thread, first), MessageNotFound)
    assert await house.ids(thread) == [second]


async def test_a_delete_waits_for_all_before_it_and_all_behind_it_find_no_thread(
    house: House,
) -> None:
    thread = await house.thread("a")
    (message,) = await house.ids(thread)
    before = [house.append(thread), house.modify_message(thread, message, metadata={"k": "v"})]
    gone = house.delete(thread)
    behind = [
        house.append(thread),
        house.messages(thread),
        house.get_message(thread, message),
        house.modify(thread, title="x"),
        house.delete(thread),
    ]
    assert (await asyncio.gather(*map(done, before)))[1]["metadata"] == {"k": "v"}
    assert await done(gone) == {"id": thread, "object": "thread.deleted", "deleted": True}
    for answer in behind:
        await refused(answer, ThreadNotFound)
    await refused(lambda: house.append(thread), ThreadNotFound)
    await refused(lambda: house.get(thread), ThreadNotFound)
    assert (await done(house.list_threads()))["data"] == []


async def test_a_delete_begins_only_when_nothing_else_is_on_its_way(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread("a")
    disk.reads_ahead = False
    disk.before = held = Held("read", suffix=f"{thread}.jsonl")
    page = house.messages(thread)
    await until(held.reached.is_set)
    batches = disk.count("batch")
    gone = house.delete(thread)
    other = await house.thread("another's write goes on")
    assert disk.count("batch") == batches + 1
    assert not gone.done()
    held.let_go()
    assert texts_of(await done(page)) == ["a"]
    await done(gone)
    assert await house.texts(other) == ["another's write goes on"]


@pytest.mark.parametrize("call", ["batch", "free_bytes"])
async def test_a_delete_that_fails_leaves_the_thread_as_it_was(
    house: House, disk: FragileDisk, call: str
) -> None:
    thread = await house.thread("a")
    disk.before = failing(call)
    gone, behind = house.delete(thread), house.messages(thread)
    with pytest.raises((OutcomeUnknown, Unavailable)):
        await done(gone)
    assert texts_of(await done(behind)) == ["a"]
    disk.before = allow
    await done(house.append(thread, "b"))
    assert await house.texts(thread) == ["a", "b"]
    assert (await done(house.delete(thread)))["deleted"] is True


async def test_a_delete_that_takes_effect_after_its_answer_was_unknown_ends_the_thread(
    house: House, disk: FragileDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.owed.OWED_RETRY_SECONDS", 0.01)
    thread = await house.thread("a")
    disk.before = failing("write", suffix="catalog.jsonl")
    await refused(lambda: house.delete(thread), OutcomeUnknown)
    disk.before = allow
    await until(lambda: house.registry.trouble is None)
    await refused(lambda: house.get(thread), ThreadNotFound)
    await refused(lambda: house.append(thread), ThreadNotFound)
    await refused(lambda: house.messages(thread), ThreadNotFound)


async def test_a_full_mailbox_turns_asks_away_and_takes_more_when_it_has_room(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(options, disk, Limits(mailbox_commands_max=8)) as house:
        thread = await house.thread()
        disk.before = held = Held("batch")
        answers = [house.append(thread, str(place)) for place in range(8)]
        error = await refused(lambda: house.append(thread, "one too many"), Unavailable)
        assert isinstance(error, Unavailable) and error.retry_after_ms >= 1
        held.let_go()
        await asyncio.gather(*map(done, answers))
        await done(house.append(thread, "8"))
        assert await house.texts(thread) == list(map(str, range(9)))


async def test_too_many_bytes_on_their_way_turn_a_write_away_and_no_read(
    options: Options, disk: FragileDisk
) -> None:
    async with opened(replace(options, pending_bytes_max=20_000), disk) as house:
        thread = await house.thread("a")
        disk.before = held = Held("batch")
        first = house.append(thread, "x" * 15_000)
        await refused(lambda: house.append(thread, "y" * 15_000), Unavailable)
        assert await house.texts(thread) == ["a"]
        held.let_go()
        await done(first)
        await done(house.append(thread, "z"))
        assert [text[0] for text in await house.texts(thread)] == ["a", "x", "z"]


async def test_a_unit_larger_than_the_journal_can_hold_is_refused_in_words(
    house: House,
) -> None:
    thread = await house.thread()
    error = await refused(lambda: house.append(thread, "x" * 255_000), InvalidRequest)
    assert "too large" in error.message
    error = await refused(lambda: house.create("x" * 200_000, "y" * 200_000), InvalidRequest)
    assert "too large" in error.message
    await done(house.append(thread, "small"))
    assert await house.texts(thread) == ["small"]


async def test_an_asker_who_left_takes_nothing_back_and_hinders_nobody(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread()
    disk.before = held = Held("batch")
    answers = [house.append(thread, str(place)) for place in range(4)]
    await until(held.reached.is_set)
    answers[1].cancel()
    held.let_go()
    await asyncio.gather(*[done(answer) for answer in answers if not answer.cancelled()])
    assert await house.texts(thread) == ["0", "1", "2", "3"]


async def test_what_an_asker_who_left_had_not_begun_is_never_done(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread("a")
    (message,) = await house.ids(thread)
    disk.before = held = Held("batch")
    first = house.modify_message(thread, message, metadata={"a": "1"})
    second = house.modify_message(thread, message, metadata={"b": "2"})
    third = house.modify_message(thread, message, metadata={"c": "3"})
    second.cancel()
    held.let_go()
    await done(first)
    assert (await done(third))["metadata"] == {"a": "1", "c": "3"}


# Metadata and what changes nothing.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"a": "1", "b": "2"}),
        ({"metadata": {}}, {"a": "1", "b": "2"}),
        ({"metadata": {"a": "9"}}, {"a": "9", "b": "2"}),
        ({"metadata": {"c": ""}}, {"a": "1", "b": "2", "c": ""}),
        ({"metadata": {"a": None}}, {"b": "2"}),
        ({"metadata": {"z": None}}, {"a": "1", "b": "2"}),
        ({"metadata": None}, {}),
    ],
)
async def test_metadata_is_merged_and_a_change_of_nothing_writes_nothing(
    house: House, change: dict[str, Any], expected: dict[str, str]
) -> None:
    before = {"a": "1", "b": "2"}
    thread = await house.thread("x", metadata=before)
    (message,) = await house.ids(thread)
    await done(house.modify_message(thread, message, metadata=before))
    asks: list[Callable[[], Answer]] = [
        lambda: house.modify(thread, **change),
        lambda: house.modify_message(thread, message, **change),
    ]
    for ask in asks:
        syncs = house.syncs
        assert (await done(ask()))["metadata"] == expected
        assert house.syncs - syncs == (expected != before)
    assert (await done(house.get(thread)))["metadata"] == expected
    assert (await done(house.get_message(thread, message)))["metadata"] == expected


async def test_sixteen_pairs_hold_after_the_merge(house: House) -> None:
    full = {str(place): "v" for place in range(16)}
    thread = await house.thread("x", metadata=full)
    syncs = house.syncs
    await refused(lambda: house.modify(thread, metadata={"one more": "v"}), InvalidRequest)
    assert house.syncs == syncs
    merged = await done(house.modify(thread, metadata={"one more": "v", "0": None}))
    assert len(merged["metadata"]) == 16


async def test_a_threads_other_fields_change_alone_and_stay_when_omitted(house: House) -> None:
    resources = {"code_interpreter": {"file_ids": ["f1"]}}
    thread = await house.thread(title="one", metadata={"a": "1"}, tool_resources=resources)
    changed = await done(house.modify(thread, title="two"))
    assert (changed["title"], changed["metadata"]) == ("two", {"a": "1"})
    assert changed["tool_resources"] == resources
    syncs = house.syncs
    assert await done(house.modify(thread, title="two")) == changed
    assert house.syncs == syncs
    assert (await done(house.modify(thread, title=None)))["title"] is None
    assert (await done(house.modify(thread, tool_resources=None)))["tool_resources"] == {}
    assert (await done(house.get(thread)))["metadata"] == {"a": "1"}


# Ids and cursors.


async def test_a_forged_id_whose_place_is_right_finds_nothing(house: House) -> None:
    thread = await house.thread("a")
    (message,) = await house.ids(thread)
    forged = message[:-1] + ("0" if message[-1] != "0" else "1")
    syncs = house.syncs
    await refused(lambda: house.get_message(thread, forged), MessageNotFound)
    await refused(
        lambda: house.modify_message(thread, forged, metadata={"k": "v"}), MessageNotFound
    )
    await refused(lambda: house.delete_message(thread, forged), MessageNotFound)
    forged_thread = thread[:-1] + ("0" if thread[-1] != "0" else "1")
    await refused(lambda: house.get(forged_thread), ThreadNotFound)
    await refused(lambda: house.append(forged_thread), ThreadNotFound)
    await refused(lambda: house.delete(forged_thread), ThreadNotFound)
    assert house.syncs == syncs
    assert await house.texts(thread) == ["a"]


async def test_another_organisation_is_told_what_a_stranger_is_told(house: House) -> None:
    thread = await house.thread("a")
    await house.thread("theirs", org="globex")
    (message,) = await house.ids(thread)
    for ask in (
        lambda: house.get(thread, org="globex"),
        lambda: house.append(thread, org="globex"),
        lambda: house.messages(thread, org="globex"),
        lambda: house.get_message(thread, message, org="globex"),
        lambda: house.modify(thread, title="mine", org="globex"),
        lambda: house.delete(thread, org="globex"),
    ):
        error = await refused(ask, ThreadNotFound)
        assert error.message == f"No thread found with id '{thread}'."
    assert len((await done(house.list_threads(org="globex")))["data"]) == 1
    assert await house.texts(thread) == ["a"]


async def test_the_cursor_of_a_deleted_message_still_works(house: House) -> None:
    thread = await house.thread(*map(str, range(9)))
    ids = await house.ids(thread)
    for message in ids[3:6]:
        await done(house.delete_message(thread, message))
    for order, expected in (("asc", ["6", "7", "8"]), ("desc", ["2", "1", "0"])):
        page = await done(house.messages(thread, f"order={order}&after={ids[4]}"))
        assert (texts_of(page), page["has_more"]) == (expected, False)
    page = await done(house.messages(thread, f"order=asc&limit=2&before={ids[4]}"))
    assert (texts_of(page), page["has_more"]) == (["1", "2"], True)


async def test_a_cursor_that_this_thread_never_reached_is_refused_by_name(house: House) -> None:
    thread, other = await house.thread("a"), await house.thread(*map(str, range(5)))
    far = (await house.ids(other))[-1]
    for param in ("after", "before"):
        error = await refused(partial(house.messages, thread, f"{param}={far}"), InvalidRequest)
        assert error.param == param


# Time.


async def test_created_at_never_decreases_when_the_clock_is_set_back(
    house: House, options: Options, disk: FragileDisk
) -> None:
    thread = await house.thread()
    created_at = (await done(house.get(thread)))["created_at"]
    assert created_at == NOW
    times = []
    for offset in (0, 10, -3600, 5, 20):
        house.time = NOW + offset
        times.append((await done(house.append(thread)))["created_at"])
    assert times == [NOW, NOW + 10, NOW + 10, NOW + 10, NOW + 20]


async def test_created_at_never_decreases_over_a_restart(options: Options) -> None:
    async with opened(options) as house:
        thread, empty = await house.thread("a"), await house.thread()
        house.time = NOW + 60
        await done(house.append(thread))
    async with opened(options) as house:
        house.time = NOW - 3600
        assert (await done(house.append(thread)))["created_at"] == NOW + 60
        told = await done(house.append(empty))
        assert told["created_at"] >= NOW, "no message is older than its thread"
        assert told["completed_at"] == told["created_at"]


async def test_sequences_go_on_after_a_restart_even_behind_a_deleted_message(
    options: Options,
) -> None:
    async with opened(options) as house:
        thread = await house.thread("a", "b")
        last = (await house.ids(thread))[-1]
        await done(house.delete_message(thread, last))
    async with opened(options) as house:
        new = (await done(house.append(thread, "c")))["id"]
        assert int(new[16:24], 16) == int(last[16:24], 16) + 1
        page = await done(house.messages(thread, f"order=asc&after={last}"))
        assert texts_of(page) == ["c"]


# Damage.


def damage(path: Path, text: bytes) -> None:
    data = path.read_bytes()
    assert data.count(text) == 1
    path.write_bytes(data.replace(text, text[::-1]))


async def test_a_damaged_message_is_named_and_its_neighbours_are_served(
    options: Options,
) -> None:
    async with opened(options) as house:
        thread = await house.thread("one", "two-2", "three")
    damage(options.data_dir / thread_path("acme", thread), b'"two-2"')
    async with opened(options) as house:
        error = await refused(lambda: house.messages(thread), Damaged)
        assert error.code == "damaged_message"
        assert "sequence 2" in error.message
        assert str(options.data_dir) not in error.message
        first = (await done(house.messages(thread, "order=asc&limit=1")))["data"][0]
        assert texts_of(await done(house.messages(thread, "limit=1"))) == ["three"]
        assert await done(house.get_message(thread, first["id"])) == first
        await done(house.append(thread, "four"))
        assert texts_of(await done(house.messages(thread, "limit=2"))) == ["four", "three"]
        await done(house.modify_message(thread, first["id"], metadata={"k": "v"}))
        await done(house.delete_message(thread, first["id"]))
        await done(house.delete(thread))


async def test_a_damaged_threads_file_spoils_no_other_thread(options: Options) -> None:
    async with opened(options) as house:
        thread, other = await house.thread("a"), await house.thread("b")
    path = options.data_dir / thread_path("acme", thread)
    path.write_bytes(b"garbage" + path.read_bytes())
    async with opened(options) as house:
        for _ in range(2):
            error = await refused(lambda: house.messages(thread), Damaged)
            assert (error.code, str(path) in error.message) == ("damaged_thread", False)
        assert await house.texts(other) == ["b"]
        assert (await done(house.get(thread)))["id"] == thread


async def test_a_damaged_entry_of_the_catalogue_is_called_a_thread_and_no_message(
    options: Options,
) -> None:
    async with opened(options) as house:
        await house.thread(title="before")
        thread = await house.thread(title="spoilt")
        last = await house.thread(title="behind")
    damage(options.data_dir / catalog_path("acme"), b'"spoilt"')
    async with opened(options) as house:
        for ask in (lambda: house.get(thread), house.list_threads):
            error = await refused(ask, Damaged)
            assert error.code == "damaged_thread"
            assert "message" not in error.message
        assert (await done(house.get(last)))["title"] == "behind"
        page = await done(house.list_threads("limit=1"))
        assert [found["title"] for found in page["data"]] == ["behind"]


async def test_a_read_that_the_disk_fails_is_told_so_and_goes_on_afterwards(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread("a")
    disk.reads_ahead = False
    disk.before = failing("read")
    with pytest.raises(Exception, match="could not read"):
        await done(house.messages(thread))
    disk.before = allow
    assert await house.texts(thread) == ["a"]
    disk.reads_ahead = True


async def test_reads_from_the_disk_and_from_memory_are_answered_alike(
    house: House, disk: FragileDisk
) -> None:
    thread = await house.thread(*map(str, range(9)))
    (first, *_) = await house.ids(thread)
    asks: list[Callable[[], Answer]] = [
        lambda: house.messages(thread),
        lambda: house.get_message(thread, first),
        lambda: house.get(thread),
        house.list_threads,
    ]
    cached = [await done(ask()) for ask in asks]
    disk.reads_ahead = False
    assert [await done(ask()) for ask in asks] == cached
    modified = await done(house.modify_message(thread, first, metadata={"k": "v"}))
    assert json.dumps(modified["metadata"]) == '{"k": "v"}'
    await done(house.delete_message(thread, first))
    assert len(await house.ids(thread)) == 8


async def test_a_log_is_tended_though_its_batches_pass_over_every_multiple(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await house.thread("makes the count odd")
    tended: list[int] = []
    monkeypatch.setattr(Storage, "tend", lambda _, log: tended.append(log.index.records))
    for _ in range(65):
        await asyncio.gather(*[done(house.append(thread)) for _ in range(2)])
    assert len(tended) == 2
