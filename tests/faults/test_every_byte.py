"""Every byte of a small log is cut off and flipped once: no other byte is served for it, ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import CatalogLog, DamagedRecord, Options, RecordLog, Storage, ThreadLog
from storage.check import Damage, check
from storage.datadir import catalog_path, thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.loading import load
from tests.storage.samples import ORG, append, commit, created, message, only_id, thread, thread_id

Contents = dict[int, bytes | None]
"""What a log serves by key; None stands for an error that names the record."""


@dataclass(frozen=True)
class Subject:
    """One log to be damaged.

    Attributes:
        owner: Whose it is, as its header says.
        whole: Its bytes.
        starts: Where its lines begin.
        about: The key that each line is about; None for the header.
    """

    disk: Disk
    kind: type[RecordLog]
    path: str
    owner: str
    whole: bytes
    starts: list[int]
    about: list[int | None]

    def put(self, data: bytes) -> None:
        with self.disk.opened(self.path) as descriptor:
            self.disk.truncate(descriptor, len(data))
            self.disk.write(descriptor, data, 0)

    def load(self) -> RecordLog:
        log = self.kind(self.path, self.disk, Descriptors(self.disk, 16))
        load(log, self.disk, owner=self.owner)
        return log

    def serve(self) -> Contents | None:
        """Return what is served; None when the whole log is answered with an error."""
        descriptors = Descriptors(self.disk, 16)
        log = self.kind(self.path, self.disk, descriptors)
        try:
            load(log, self.disk, owner=self.owner)
            return {place[0]: _read(log, place) for place in log.places(range(len(log.index)))}
        except DamagedRecord:
            return None
        finally:
            descriptors.close()

    def damages(self) -> list[Damage]:
        return [each for each in check(self.disk.root) if each.path == self.path]

    def line_at(self, offset: int) -> int:
        return max(number for number, start in enumerate(self.starts) if start <= offset)


def _read(log: RecordLog, place: tuple[int, int, int]) -> bytes | None:
    try:
        return log.read([place])[0]
    except DamagedRecord:
        return None


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    options = Options(tmp_path / "data", journal_segment_bytes=16384, disk_reserve_bytes=0)
    storage = await Storage.open(options)
    catalog = await storage.open_catalog(ORG)
    log = await created(storage, catalog, 1, [message(1, "one"), message(2, "two")])
    await created(storage, catalog, 2, [message(1, "another thread")])
    await created(storage, catalog, 3)
    await append(storage, log, "three")
    await append(storage, log, "four")
    await commit(storage, log.replace(2, message(2, "two, changed")))
    await commit(storage, log.remove(3, only_id(message(3))))
    await append(storage, log, "five")
    await commit(storage, catalog.replace(catalog.next_number, thread(1, "changed")))
    await commit(storage, catalog.remove(catalog.next_number, only_id(thread(3))))
    await storage.close()
    assert list(check(options.data_dir)) == []
    return options.data_dir


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Each of some thousand damages is logged, and nobody reads that here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=[ThreadLog, CatalogLog], ids=["thread", "catalogue"])
def subject(request: pytest.FixtureRequest, data_dir: Path) -> Subject:
    kind: type[RecordLog] = request.param
    is_thread = kind is ThreadLog
    path = thread_path(ORG, thread_id(1)) if is_thread else catalog_path(ORG)
    whole = (data_dir / path).read_bytes()
    lines = whole.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    about = [None, *[kind.key_of_id(line[66:-2]) for line in lines[1:]]]
    owner = thread_id(1) if is_thread else ORG
    return Subject(Disk(data_dir), kind, path, owner, whole, starts, about)


def test_a_flipped_byte_is_never_served_nor_does_it_hide_another_record(subject: Subject) -> None:
    truth = subject.serve()
    assert truth is not None
    for offset, byte in enumerate(subject.whole):
        for other in {byte ^ 1 << offset % 8, ord("\n")} - {byte}:
            subject.put(subject.whole[:offset] + bytes([other]) + subject.whole[offset + 1 :])
            served = subject.serve()
            number = subject.line_at(offset)
            where = f"byte {offset} as {other}: {served}"
            assert subject.starts[number] in [each.offset for each in subject.damages()], where
            if number == 0:
                assert served is None, where
                continue
            assert served is not None, where
            key = subject.about[number]
            assert key is not None
            assert served.get(key) is None or served[key] == truth.get(key), where
            assert key in served or key not in truth, where
            _insist_on_the_others(served, truth, {key}, where)
    subject.put(subject.whole)
    assert subject.serve() == truth


def _insist_on_the_others(served: Contents, truth: Contents, besides: set[int], where: str) -> None:
    others = {each: data for each, data in served.items() if each not in besides}
    assert others == {each: data for each, data in truth.items() if each not in besides}, where


def test_a_log_that_is_cut_anywhere_serves_what_is_left_and_no_half_of_a_line(
    subject: Subject,
) -> None:
    # What a log served after each of its lines: a cut can lead to nothing else.
    states: list[Contents | None] = [None]
    for end in [*subject.starts[1:], len(subject.whole)]:
        subject.put(subject.whole[:end])
        states.append(subject.serve())
    for end in range(len(subject.whole)):
        subject.put(subject.whole[:end])
        served = subject.serve()
        number = subject.line_at(end)
        where = f"cut at {end}: {served}"
        before = states[number]
        if before is None:
            assert served is None, where
            continue
        assert served is not None, where
        sound = {key: data for key, data in served.items() if data is not None}
        assert all(before.get(key) == data for key, data in sound.items()), where
        assert len(before.keys() - sound.keys()) <= 1, where
        if end != subject.starts[number]:
            assert subject.load().torn, where
            found = [each.offset for each in subject.damages()]
            assert found == [subject.starts[number]], where


def test_a_damaged_log_takes_no_other_log_down(subject: Subject, data_dir: Path) -> None:
    other = thread_path(ORG, thread_id(2))
    for offset in range(0, len(subject.whole), 7):
        subject.put(subject.whole[:offset] + b"?" + subject.whole[offset + 1 :])
        log = ThreadLog(other, subject.disk, Descriptors(subject.disk, 16))
        load(log, subject.disk, owner=thread_id(2))
        assert log.read(log.places(range(1))) == [message(1, "another thread")]
        if subject.kind is ThreadLog:
            assert {each.path for each in check(data_dir)} == {subject.path}


def test_a_sidecar_with_any_byte_flipped_or_missing_is_made_anew(subject: Subject) -> None:
    truth = subject.serve()
    log = subject.load()
    sidecar = log.section().seal()[0]
    place = subject.disk.root / log.sidecar_path
    place.write_bytes(sidecar)
    assert subject.load().sidecar.records == log.index.records, "the sidecar is used"
    for offset, byte in enumerate(sidecar):
        place.write_bytes(
            sidecar[:offset] + bytes([byte ^ 1 << offset % 8]) + sidecar[offset + 1 :]
        )
        assert subject.load().sidecar.records == 0, offset
        assert subject.serve() == truth, offset
    for end in range(len(sidecar)):
        place.write_bytes(sidecar[:end])
        assert subject.load().sidecar.records == 0, end
        assert subject.serve() == truth, end
