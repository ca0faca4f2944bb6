from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from bench import datasets, loads
from bench.datasets import Thread
from bench.loads import Plan
from bench.sqlite_reference import LIST_MESSAGES, LIST_THREADS
from ragen_actor.cli import main
from ragen_actor.cli.exit_codes import Exit
from storage import Options, Storage
from tests.actors.house import done, opened

THREADS, MESSAGES = 30, 2000
FILES = {1: MESSAGES, 2: 5, 3: 0}


def test_a_data_set_with_a_file_for_each_thread_is_sound(tmp_path: Path) -> None:
    datasets.make(tmp_path / "data")
    datasets.write_organisation(tmp_path / "data", "acme", threads=3, files=FILES)
    assert main(["check", "--data-dir", str(tmp_path / "data")]) == Exit.FINE


async def test_a_data_set_is_served_under_the_ids_that_follow_from_numbers(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await (await Storage.open(Options(data_dir))).close()
    datasets.write_organisation(data_dir, "acme", threads=THREADS, files=FILES)
    async with opened(Options(data_dir)) as house:
        threads = await done(house.list_threads("limit=1"))
        assert threads["data"][0]["id"] == Thread(THREADS).id
        long = Thread(1)
        page = await done(house.messages(long.id, f"limit=2&after={long.message_id(1000)}"))
        assert [each["id"] for each in page["data"]] == [long.message_id(999), long.message_id(998)]
        assert (await done(house.get_message(long.id, long.message_id(7))))["thread_id"] == long.id
        assert (await done(house.append(long.id)))["id"][16:24] == f"{MESSAGES + 1:08x}"


def test_the_reference_gets_the_same_threads_and_messages(tmp_path: Path) -> None:
    path = tmp_path / "reference.db"
    datasets.write_sqlite(path, threads=THREADS, files=FILES)
    database = sqlite3.connect(path)
    threads = [row[0] for row in database.execute(LIST_THREADS, ("",))]
    assert threads == [Thread(number).stored() for number in range(THREADS, THREADS - 20, -1)]
    deep = (Thread(1).id, Thread(1).message_id(50))
    messages = [row[0] for row in database.execute(LIST_MESSAGES, deep)]
    assert messages[0] == Thread(1).message(49, datasets.TEXT) and len(messages) == 20
    database.close()


@pytest.mark.parametrize("full", [False, True])
def test_every_load_asks_for_what_the_data_set_has(full: bool) -> None:
    plan = Plan(10_000, full)
    there = {Thread(number).id for number in plan.files}
    for load in loads.loads(plan):
        for request in load.requests:
            thread = request.path.removeprefix("/v1/threads").split("?")[0].split("/")[1:2]
            assert set(thread) <= there, load.name


def test_the_mix_is_six_lists_and_three_appends_in_ten_requests() -> None:
    kinds: Counter[str] = Counter()
    for request in loads.mix(loads.SHORT, loads.SHORT_MESSAGES):
        appends = request.method == "POST" and request.path.endswith("/messages")
        lists = request.method == "GET" and "/messages?" in request.path
        kinds["append" if appends else "list" if lists else "other"] += 1
    assert kinds == {"list": 600, "append": 300, "other": 100}


def test_a_quick_run_leaves_out_and_never_adds() -> None:
    quick = [load.name for load in loads.loads(Plan(10_000, full=False))]
    full = [load.name for load in loads.loads(Plan(10_000, full=True))]
    assert [name for name in full if name in quick] == quick
    assert loads.COPIED in quick
