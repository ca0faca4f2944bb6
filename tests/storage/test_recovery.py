"""What a start does with what the last run left in the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storage import Options, Storage
from storage.datadir import catalog_path, thread_path
from storage.durable import Disk
from storage.recovery import cut_unfinished_line, recover
from storage.segment import BATCHES_AT, Frame, Header, batches, pack_batch
from tests.storage.fragile_disk import FragileDisk, failing
from tests.storage.samples import (
    ORG,
    append,
    commit,
    copied,
    crashed,
    created,
    message,
    read_all,
    thread,
    thread_id,
    tree,
)

LOG = thread_path(ORG, thread_id(1))
Leave = Callable[..., Awaitable[Path]]


@pytest.fixture
async def left(storage: Storage, tmp_path: Path) -> Path:
    """A directory whose process died: 12 batches in the journal, none of them checkpointed."""
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(1), message(2)])
    for place in range(9):
        await append(storage, log, str(place))
    await commit(storage, log.replace(3, message(3, "new")))
    await commit(storage, catalog.replace(catalog.next_number, thread(1, "title")))
    return crashed(storage.disk.root, tmp_path / "left")


@pytest.fixture
async def start(options: Options) -> AsyncIterator[Callable[[Path], Awaitable[Storage]]]:
    opened: list[Storage] = []

    async def start_on(there: Path) -> Storage:
        storage = await Storage.open(replace(options, data_dir=there))
        opened.append(storage)
        return storage

    yield start_on
    for storage in opened:
        await storage.close()


def logs(data_dir: Path) -> dict[str, bytes]:
    return {path: data for path, data in tree(data_dir).items() if path.endswith(".jsonl")}


def cut(there: Path, path: str, length: int) -> None:
    with (there / path).open("r+b") as file:
        file.truncate(length)


async def test_files_that_lost_everything_are_made_again(
    left: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    whole = logs(left)
    for path in whole:
        (left / path).unlink()
    (left / LOG).parent.rmdir()
    storage = await start(left)
    assert logs(left) == whole
    assert (storage.recovered.batches, storage.recovered.files) == (12, 2)
    assert storage.recovered.faults == []
    assert len(await read_all(storage, await storage.open_thread(ORG, thread_id(1)))) == 11


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 1.0])
async def test_files_that_lost_their_ends_get_them_back(
    left: Path, start: Callable[[Path], Awaitable[Storage]], kept: float
) -> None:
    whole = logs(left)
    for path, data in whole.items():
        cut(left, path, int(len(data) * kept))
    storage = await start(left)
    assert logs(left) == whole
    assert storage.recovered.faults == []


async def test_bytes_that_never_reached_the_disk_are_put_in_their_place(
    left: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    whole = logs(left)
    data = bytearray(whole[LOG])
    data[300:600] = bytes(300)
    (left / LOG).write_bytes(data)
    await start(left)
    assert logs(left) == whole


async def test_a_journal_that_ends_in_a_torn_batch_loses_that_batch_alone(
    left: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    wal = left / "journal/0.wal"
    data = wal.read_bytes()
    *_, last = batches(data, 1)
    (frame,) = last.frames
    assert frame.path == catalog_path(ORG)
    for path in logs(left):
        (left / path).unlink()
    wal.write_bytes(data[: last.offset + 40] + bytes(len(data) - last.offset - 40))
    storage = await start(left)
    assert storage.recovered.faults == []
    assert await read_all(storage, await storage.open_catalog(ORG)) == [thread(1)]


async def test_doing_the_journal_twice_comes_to_the_same(left: Path, tmp_path: Path) -> None:
    cut(left, LOG, 100)
    again = crashed(left, tmp_path / "again")
    recover(Disk(left), is_copy=False)
    once = tree(left)
    segments = {each: (again / each).read_bytes() for each in once if each.endswith(".wal")}
    recover(Disk(again), is_copy=False)
    for path, data in segments.items():
        (again / path).write_bytes(data)
    outcome = recover(Disk(again), is_copy=False)
    assert outcome.faults == []
    assert tree(again) == {**once, "meta.json": (again / "meta.json").read_bytes()}
    assert recover(Disk(again), is_copy=False).batches == 0


@pytest.mark.parametrize("call", ["write", "sync", "sync_directory", "header", "open"])
@pytest.mark.parametrize("nth", [1, 2])
async def test_a_recovery_that_dies_half_way_is_done_again(
    left: Path, tmp_path: Path, call: str, nth: int
) -> None:
    whole = logs(left)
    for path in whole:
        cut(left, path, 10)
    disk = FragileDisk(left)
    seen = 0

    def hook(name: str, path: str) -> int | None:
        nonlocal seen
        seen += name == call
        if seen == nth and name == call:
            raise OSError("the power went out")
        return None

    disk.before = hook
    try:
        recover(disk, is_copy=False)
    except OSError:
        assert seen == nth
    assert recover(Disk(left), is_copy=False).faults == []
    assert logs(left) == whole


async def test_a_torn_tail_is_cut_and_kept_beside_the_log(
    left: Path, start: Callable[[Path], Awaitable[Storage]], caplog: pytest.LogCaptureFixture
) -> None:
    whole = logs(left)
    with (left / LOG).open("ab") as file:
        file.write(b'{"c":"half a line')
    await start(left)
    assert (left / LOG).read_bytes() == whole[LOG]
    kept = left / f"{LOG}.torn-{len(whole[LOG])}"
    assert kept.read_bytes() == b'{"c":"half a line'
    assert f"{LOG}:{len(whole[LOG])}" in caplog.text


async def test_a_gap_is_reported_and_the_segment_is_kept_aside(
    left: Path, start: Callable[[Path], Awaitable[Storage]], caplog: pytest.LogCaptureFixture
) -> None:
    wal = left / "journal/0.wal"
    data = bytearray(wal.read_bytes())
    first, *_ = batches(bytes(data), 1)
    data[first.offset + 50] ^= 1
    wal.write_bytes(data)
    (left / LOG).unlink()
    storage = await start(left)
    faults = storage.recovered.faults
    assert [fault.split(": ")[0] for fault in faults] == [
        f"journal/0.wal:{first.end}",
        f"{LOG}:{first.frames[0].offset + len(first.frames[0].data)}",
    ]
    assert "batch 1 is missing" in faults[0]
    assert all(fault in caplog.text for fault in faults)
    assert (left / "journal/0.wal.damaged").read_bytes() == bytes(data)
    assert not (left / LOG).exists(), "nothing is written behind a hole"


async def test_a_damaged_batch_hides_no_later_one(
    left: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    whole = logs(left)
    wal = left / "journal/0.wal"
    data = bytearray(wal.read_bytes())
    _, second, *_ = batches(bytes(data), 1)
    data[second.offset + 60] ^= 1
    wal.write_bytes(data)
    for path in whole:
        cut(left, path, second.frames[0].offset if path == LOG else 0)
    storage = await start(left)
    assert (left / catalog_path(ORG)).read_bytes() == whole[catalog_path(ORG)]
    assert len(storage.recovered.faults) == 2


async def test_a_copy_stops_at_a_gap_without_complaint(
    left: Path, tmp_path: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    """The copying passed this file before it passed the journal, which was used again since."""
    there = copied(left, tmp_path / "copy")
    whole = (there / LOG).read_bytes()
    found = list(batches((there / "journal/0.wal").read_bytes(), 1))
    kept = found[4].frames[0].offset
    cut(there, LOG, kept - 20)
    later = [pack_batch(1, batch.number, batch.frames) for batch in found[6:]]
    header = Header(1, True, found[6].number, 0).pack().ljust(BATCHES_AT, b"\0")
    segment = (header + b"".join(later)).ljust((there / "journal/0.wal").stat().st_size, b"\0")
    (there / "journal/0.wal").write_bytes(segment)
    storage = await start(there)
    assert storage.recovered.faults == []
    assert not list(there.glob("journal/*damaged*"))
    log = await storage.open_thread(ORG, thread_id(1))
    found_whole = (there / LOG).read_bytes()
    assert whole.startswith(found_whole) and found_whole.endswith(b"\n")
    assert len(log.index) == whole[: len(found_whole)].count(b'"k":"m"')


async def test_a_copy_whose_segments_were_passed_at_different_times_is_no_damaged_journal(
    storage: Storage,
    options: Options,
    tmp_path: Path,
    start: Callable[[Path], Awaitable[Storage]],
) -> None:
    log = await created(storage, await storage.open_catalog(ORG), 1)
    for _ in range(3):
        await append(storage, log, "x" * 30_000)
    early = crashed(storage.disk.root, tmp_path / "early")
    for _ in range(9):
        await append(storage, log, "x" * 30_000)
    there = copied(storage.disk.root, tmp_path / "copy")
    (there / "journal/0.wal").write_bytes((early / "journal/0.wal").read_bytes())
    again = await start(there)
    assert again.recovered.faults == []
    assert not list(there.glob("journal/*damaged*"))
    assert len((await again.open_thread(ORG, thread_id(1))).index) == 12


async def test_a_frame_of_another_generation_is_skipped(
    left: Path, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    whole = logs(left)
    wal = left / "journal/0.wal"
    data = wal.read_bytes()
    *_, last = batches(data, 1)
    other = pack_batch(1, last.number + 1, [Frame(LOG, 2, 40, b"of the file's next life\n")])
    wal.write_bytes(data[: last.end] + other + data[last.end + len(other) :])
    storage = await start(left)
    assert storage.recovered.batches == 13
    assert storage.recovered.faults == []
    assert logs(left) == whole


async def test_a_sound_stop_leaves_nothing_to_do_again(
    options: Options, start: Callable[[Path], Awaitable[Storage]]
) -> None:
    storage = await Storage.open(options)
    await created(storage, await storage.open_catalog(ORG), 1)
    await storage.close()
    again = await start(options.data_dir)
    assert (again.recovered.batches, again.recovered.files) == (0, 0)


async def test_batches_go_on_counting_and_segments_turning_over_many_starts(
    options: Options, tmp_path: Path
) -> None:
    there = options.data_dir
    texts = []
    for round_number in range(9):
        storage = await Storage.open(replace(options, data_dir=there))
        assert storage.recovered.faults == []
        if round_number == 0:
            log = await created(storage, await storage.open_catalog(ORG), 1)
        else:
            log = await storage.open_thread(ORG, thread_id(1))
        for place in range(3):
            texts.append(f"{round_number}.{place}")
            await append(storage, log, texts[-1])
        header = Header.unpack(
            (there / f"journal/{round_number % 4}.wal").read_bytes()[:BATCHES_AT]
        )
        assert header is not None and (header.use, header.in_use) == (round_number + 1, True)
        found = [data.split(b'"')[7].decode() for data in await read_all(storage, log)]
        assert found == texts
        # Odd rounds die, even ones stop well.
        if round_number % 2:
            after = crashed(there, tmp_path / f"round-{round_number}")
            await storage.close()
            there = after
        else:
            await storage.close()


async def test_the_journal_is_not_given_up_when_the_disk_fails_a_start(
    left: Path, options: Options
) -> None:
    whole = logs(left)
    cut(left, LOG, 10)
    disk = FragileDisk(left)
    disk.before = failing("sync", suffix=LOG)
    with pytest.raises(OSError, match="this disk fails"):
        await Storage.open(replace(options, data_dir=left), disk)
    storage = await Storage.open(replace(options, data_dir=left))
    assert logs(left) == whole
    await storage.close()


@pytest.mark.parametrize("tail", [b"", b"x", b'{"c":"', b"x" * 70_000])
def test_an_unfinished_line_is_cut_at_the_last_newline(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"one\ntwo\n" + tail)
    cut_unfinished_line(Disk(tmp_path), "log.jsonl")
    assert (tmp_path / "log.jsonl").read_bytes() == b"one\ntwo\n"
    kept = tmp_path / "log.jsonl.torn-8"
    assert (kept.read_bytes() if tail else b"") == tail
    assert kept.exists() == bool(tail)
