"""What things cost, counted: syncs, reads, bytes, opened files, memory.

Times are printed (`pytest -s`), never asserted: they belong to the machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from ragen_actor import schema
from storage import LogHeader, Options, Storage
from storage.datadir import catalog_path, thread_path
from storage.record import encode
from tests.actors.house import House, done
from tests.actors.house import opened as house_on
from tests.model.serving import CONNECTIONS, serving
from tests.server_process import ServerProcess
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import crashed
from tests.wire.http_call import Api

LINE_BYTES = 68
ENTRY_BYTES = 24
MANY_THREADS = 100_000
IDLE_BYTES_MAX = 60 * 1024 * 1024


def turn(text: str = "hello") -> dict[str, object]:
    return {"role": "user", "content": text}


async def test_sixty_four_appends_at_once_over_sixty_four_threads_cost_eight_syncs_at_most(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "data") as its:
        storage, call = its.storage, its.call
        threads = await asyncio.gather(
            *[call("POST", "/v1/threads", {}) for _ in range(CONNECTIONS)]
        )
        worst = 0
        for _ in range(5):
            before = storage.disk.syncs
            await asyncio.gather(
                *[call("POST", f"/v1/threads/{each['id']}/messages", turn()) for each in threads]
            )
            worst = max(worst, storage.disk.syncs - before)
        print(f"64 concurrent appends over 64 threads: {worst} syncs at worst")
        assert worst <= 8


async def test_each_kind_of_write_costs_one_sync_and_each_kind_of_read_none(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "data") as its:
        storage, call = its.storage, its.call
        await call("POST", "/v1/threads", {})  # The journal's first segment is begun.
        costs: dict[str, int] = {}

        async def cost(name: str, method: str, path: str, payload: object = None) -> Any:
            before = storage.disk.syncs
            answer = await call(method, path, payload)
            costs[name] = storage.disk.syncs - before
            return answer

        turns = [turn(str(place)) for place in range(30)]
        thread = await cost("create", "POST", "/v1/threads", {"messages": turns})
        path = f"/v1/threads/{thread['id']}"
        message = await cost("append", "POST", f"{path}/messages", turn())
        one = f"{path}/messages/{message['id']}"
        await cost("modify message", "POST", one, {"metadata": {"k": "v"}})
        await cost("modify thread", "POST", path, {"title": "title"})
        await cost("list", "GET", f"{path}/messages")
        await cost("get", "GET", one)
        await cost("delete message", "DELETE", one)
        await cost("delete thread", "DELETE", path)
        print(f"syncs: {costs}")
        reads = {name: costs.pop(name) for name in ("list", "get")}
        assert set(reads.values()) == {0}
        assert set(costs.values()) == {1}


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "data", journal_segment_bytes=1 << 20)


@pytest.fixture
def disk(options: Options) -> FragileDisk:
    return FragileDisk(options.data_dir)


async def pieces(house: House, disk: FragileDisk, thread: str, query: str) -> int:
    before = disk.count("read_cached") + disk.count("read")
    assert len((await done(house.messages(thread, query)))["data"]) == 20
    return disk.count("read_cached") + disk.count("read") - before


async def test_a_list_of_twenty_reads_two_pieces_at_most_and_one_for_each_modified_message(
    options: Options, disk: FragileDisk
) -> None:
    async with house_on(options, disk) as house:
        thread = await house.thread(*map(str, range(100)))
        ids = await house.ids(thread)
        for query in ("", "order=asc", f"after={ids[60]}", f"before={ids[40]}&order=asc"):
            assert await pieces(house, disk, thread, query) <= 2
        for modified, message in enumerate((ids[99], ids[85], ids[92]), 1):
            await done(house.append(thread, "x" * 9000))
            await done(house.modify_message(thread, message, metadata={"k": "v"}))
            count = await pieces(house, disk, thread, f"before={ids[79]}")
            assert count <= 2 + modified


async def test_a_message_takes_its_own_bytes_on_the_disk_and_sixty_eight_more(
    options: Options,
) -> None:
    async with house_on(options) as house:
        thread = await house.thread()
        path = options.data_dir / thread_path("acme", thread)
        for text in ("", "x", "ä" * 100, "x" * 10_000):
            before = path.stat().st_size
            body = await house.append(thread, text or "y")
            assert path.stat().st_size - before == len(body) + LINE_BYTES


async def test_a_message_takes_twenty_four_bytes_of_index_in_memory(options: Options) -> None:
    async with house_on(options) as house:
        thread = await house.thread(*["x"] * 100)
        actor = house.registry._organisations["acme"].threads[thread]
        before = actor.memory_bytes
        await asyncio.gather(*[done(house.append(thread)) for _ in range(500)])
        assert actor.memory_bytes - before == 500 * ENTRY_BYTES


async def test_recovery_opens_the_journal_and_the_files_that_it_names_and_no_others(
    options: Options, tmp_path: Path
) -> None:
    async with house_on(options) as house:
        for _ in range(200):
            await house.thread("a")
    async with house_on(options) as house:
        thread = await house.thread("b")
        await done(house.append(thread))
        there = crashed(options.data_dir, tmp_path / "there")
    disk = FragileDisk(there)
    storage = await Storage.open(Options(there, journal_segment_bytes=1 << 20), disk)
    opened = {path for call, path in disk.calls if call == "open" and path.endswith(".jsonl")}
    assert opened == {thread_path("acme", thread), catalog_path("acme")}
    assert (storage.recovered.batches, storage.recovered.files) == (2, 2)
    await storage.close()


# A data directory with many threads.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """A server's data directory with 100,000 threads in its catalogue, and files for a few."""
    process = ServerProcess(tmp_path_factory.mktemp("large") / "data")
    data_dir = process.data_dir

    async def made() -> None:
        await (await Storage.open(Options(data_dir))).close()

    asyncio.run(made())
    header = header_data(LogHeader(id="acme", org="acme"))
    parts = [encode("h", 0, header)]
    for number in range(1, MANY_THREADS + 1):
        ms = 1_750_000_000_000 + number
        thread_id = schema.make_thread_id(ms, 0, number)
        thread = schema.Thread(id=thread_id, created_at=ms // 1000, assistant_id="asst-web")
        parts.append(encode("t", number, schema.encode(thread)))
        if number % 20_000 == 0:
            path = data_dir / thread_path("acme", thread_id)
            path.parent.mkdir(parents=True)
            line = encode("h", 0, header_data(LogHeader(id=thread_id, org="acme")))
            path.write_bytes(line)
    (data_dir / catalog_path("acme")).write_bytes(b"".join(parts))
    return process


def header_data(header: LogHeader) -> bytes:
    return json.dumps({"id": header.id, "org": header.org}, separators=(",", ":")).encode()


async def test_a_start_with_a_hundred_thousand_threads_opens_no_threads_file(
    large: ServerProcess,
) -> None:
    disk = FragileDisk(large.data_dir)
    started = time.monotonic()
    storage = await Storage.open(Options(large.data_dir), disk)
    seconds = time.monotonic() - started
    print(f"storage is open over {MANY_THREADS} threads after {seconds:.3f} s")
    assert disk.count("open", ".jsonl") <= 1, "at most the catalogue, for its tombstones"
    started = time.monotonic()
    catalog = await storage.open_catalog("acme")
    print(f"its catalogue is in memory after {time.monotonic() - started:.3f} s")
    assert len(catalog.index) == MANY_THREADS
    assert catalog.memory_bytes <= ENTRY_BYTES * MANY_THREADS + 4096
    await storage.close()


def resident_bytes(process: ServerProcess) -> int:
    assert process._process is not None
    status = Path(f"/proc/{process._process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_an_idle_server_takes_less_than_sixty_mebibytes(own_server: ServerProcess) -> None:
    taken = resident_bytes(own_server)
    print(f"an idle server takes {taken / 2**20:.1f} MiB")
    assert taken < IDLE_BYTES_MAX


def test_a_server_with_a_hundred_thousand_threads_starts_and_serves_them(
    large: ServerProcess,
) -> None:
    started = time.monotonic()
    large.start()
    print(f"the process answered that it is ready after {time.monotonic() - started:.3f} s")
    (ready,) = re.findall(r"ready after ([\d.]+) s", large.log)
    print(f"of these it spent {ready} s on its data")
    print(f"it takes {resident_bytes(large) / 2**20:.1f} MiB")
    api = Api(large, large.key)
    page = api.page("/v1/threads", "limit=100")
    assert len(page["data"]) == 100 and page["has_more"] is True
    print(f"with the catalogue in use {resident_bytes(large) / 2**20:.1f} MiB")
    newest = page["data"][0]["id"]
    api.new_message(newest)
    assert len(api.page(f"/v1/threads/{newest}/messages")["data"]) == 1
    large.close()
