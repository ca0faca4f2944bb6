"""`check` beside a server: what is being written while it is read is no damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage import Options, Storage
from storage.check import check
from storage.datadir import catalog_path, thread_path
from storage.record import encode
from storage.segment import BATCHES_AT, Header, pack_batch
from storage.segment_file import segment_path
from tests.storage.fragile_disk import FragileDisk
from tests.storage.samples import ORG, append, created, message, thread_id

LOG = thread_path(ORG, thread_id(1))


def after_file(number: int, then: Callable[[], object]) -> Callable[[int, int], None]:
    """Do something once so many files were read: the catalogue is the first, LOG the second."""
    count = 0

    def progress(done: int, total: int) -> None:
        nonlocal count
        count += 1
        if count == number:
            then()

    return progress


@pytest.fixture
async def resting(options: Options) -> Path:
    """A directory whose journal is free: it excuses nothing."""
    storage = await Storage.open(options)
    log = await created(storage, await storage.open_catalog(ORG), 1, [message(1)])
    for _ in range(3):
        await append(storage, log)
    await storage.close()
    assert list(check(options.data_dir)) == []
    return options.data_dir


@pytest.mark.parametrize("kept", [0, 30, -70, -1])
@pytest.mark.parametrize("path", [LOG, catalog_path(ORG)])
def test_a_line_that_was_half_written_when_it_was_read_is_no_damage(
    resting: Path, path: str, kept: int
) -> None:
    file = resting / path
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    assert path in {each.path for each in check(resting)}
    number = 2 if path == LOG else 1
    assert list(check(resting, after_file(number, lambda: file.write_bytes(whole)))) == []


def test_a_line_that_goes_on_being_written_is_damage_only_where_it_stays_as_it_was(
    resting: Path,
) -> None:
    file = resting / LOG
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"c":"half')
    longer = whole + b'{"c":"half of another'
    assert list(check(resting, after_file(2, lambda: file.write_bytes(longer)))) == []
    assert [(each.path, each.offset) for each in check(resting)] == [(LOG, len(whole))]


def test_a_log_that_was_rewritten_since_it_was_read_is_no_damage(resting: Path) -> None:
    file = resting / LOG
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    _, rest = whole.split(b"\n", 1)
    again = b'{"id":"%b","org":"acme","generation":2}' % thread_id(1).encode()

    def compacted() -> None:
        (resting / f"{LOG}.next").write_bytes(encode("h", 0, again) + rest[:-9])
        (resting / f"{LOG}.next").rename(file)

    assert list(check(resting, after_file(2, compacted))) == []
    assert [each.path for each in check(resting)] == [LOG]


def test_a_batch_that_was_half_written_when_it_was_read_is_not_missing(
    resting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = segment_path(0)
    head = Header(91, True, 5, 4).pack().ljust(BATCHES_AT, b"\0")
    first, second, third = (pack_batch(91, number, []) for number in (5, 6, 7))
    (resting / path).write_bytes(head + first + bytes(len(second)) + third)
    assert [each.reason for each in check(resting)] == ["batch 6 is missing"]
    disk = FragileDisk(resting)
    reads = 0

    def written_meanwhile(call: str, name: str) -> int | None:
        nonlocal reads
        reads += (call, name) == ("read", path)
        if reads == 3:  # The header and the batches were read once.
            (resting / path).write_bytes(head + first + second + third)
        return None

    disk.before = written_meanwhile
    monkeypatch.setattr("storage.check.Disk", lambda root: disk)
    assert list(check(resting)) == []
    assert reads >= 3
