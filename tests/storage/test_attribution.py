"""Which record a damaged line was about: proved by its checksum, or told by what else is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import CatalogLog, DamagedRecord, RecordLog, ThreadLog
from storage.datadir import catalog_path, thread_path
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.loading import load
from storage.record import DATA_AT, encode
from tests.storage.samples import ORG, message, only_id, thread, thread_id

HEADER = encode("h", 0, b'{"id":"%b","org":"acme"}' % thread_id(1).encode())
CATALOG_HEADER = encode("h", 0, b'{"id":"acme","org":"acme"}')
ID_DIGITS = range(DATA_AT + 14, DATA_AT + 30)
"""Where a catalogue's line has its thread's key."""

Served = dict[int, bytes | None]
"""Objects by key; None stands for an error."""


class Place:
    """Logs made by hand where a data directory has them."""

    def __init__(self, root: Path) -> None:
        self.disk = Disk(root)
        self.descriptors = Descriptors(self.disk, 8)

    def thread_file(self, number: int) -> None:
        self._write(thread_path(ORG, thread_id(number)), HEADER)

    def thread_log(self, *its: bytes) -> RecordLog:
        return self._open(ThreadLog, thread_path(ORG, thread_id(1)), HEADER, thread_id(1), its)

    def catalogue(self, *its: bytes) -> RecordLog:
        return self._open(CatalogLog, catalog_path(ORG), CATALOG_HEADER, ORG, its)

    def _open(
        self, kind: type[RecordLog], path: str, header: bytes, owner: str, its: tuple[bytes, ...]
    ) -> RecordLog:
        self._write(path, header + b"".join(its))
        self.descriptors.distrust(path)
        self.descriptors.trim()
        log = kind(path, self.disk, self.descriptors)
        load(log, self.disk, owner=owner)
        return log

    def _write(self, path: str, data: bytes) -> None:
        self.disk.make_directory(path.rpartition("/")[0])
        (self.disk.root / path).write_bytes(data)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.descriptors.close()


def served(log: RecordLog) -> Served:
    found: Served = {}
    for key in log.index.keys:
        try:
            found[key] = log.read([log.place(key) or (0, 0, 0)])[0]
        except DamagedRecord:
            found[key] = None
    return found


def key_of(number: int) -> int:
    return CatalogLog.key(0, thread(number))


def flipped(line: bytes, at: int, digit: bytes = b"") -> bytes:
    return line[:at] + (digit or bytes([line[at] ^ 1])) + line[at + 1 :]


# A thread's messages.


@pytest.mark.parametrize("kind", ["u", "x"])
def test_a_change_with_a_damaged_number_takes_no_sound_message_with_it(
    place: Place, kind: str
) -> None:
    its = [encode("m", number, message(number)) for number in (1, 2, 3)]
    change = encode(kind, 2, message(2, "newer") if kind == "u" else only_id(message(2)))
    expected = {1: message(1), 2: None, 3: message(3)}
    for at in [*range(35, 45), *range(DATA_AT + 23, DATA_AT + 31)]:
        for digit in (b"1", b"3", b"7", b"~"):
            if change[at : at + 1] != digit:
                assert served(place.thread_log(*its, flipped(change, at, digit))) == expected, at


@pytest.mark.parametrize("kind", ["u", "x"])
def test_a_change_at_the_end_with_any_byte_damaged_makes_its_message_damaged_and_no_other(
    place: Place, kind: str
) -> None:
    its = [encode("m", number, message(number)) for number in (1, 2, 3)]
    change = encode(kind, 2, message(2, "newer") if kind == "u" else only_id(message(2)))
    for at in range(len(change) - 1):
        found = served(place.thread_log(*its, flipped(change, at)))
        assert found == {1: message(1), 2: None, 3: message(3)}, at


@pytest.mark.parametrize("kind", ["u", "x"])
def test_a_change_that_is_cut_off_adds_no_message(place: Place, kind: str) -> None:
    its = [encode("m", number, message(number)) for number in (1, 2, 3)]
    change = encode(kind, 2, message(2, "newer") if kind == "u" else only_id(message(2)))
    for length in range(28, len(change)):
        log = place.thread_log(*its, change[:length])
        assert log.torn
        assert list(log.index.keys) == [1, 2, 3], length
        named = length >= 45
        assert (served(log)[2] is None) == named, length


@pytest.mark.parametrize("length", [1, 20, 27])
def test_a_line_of_which_not_even_the_kind_is_left_may_have_been_a_message(
    place: Place, length: int
) -> None:
    change = encode("u", 1, message(1, "newer"))
    found = served(place.thread_log(encode("m", 1, message(1)), change[:length]))
    assert found == {1: message(1), 2: None}


# A catalogue.


def test_a_damaged_last_entry_raises_the_highest_key_by_no_digit(place: Place) -> None:
    its = [encode("t", number, thread(number)) for number in (1, 2)]
    for number in (1, 2):
        place.thread_file(number)
    for at in ID_DIGITS:
        for digit in (b"f", b"0", b"~"):
            if its[1][at : at + 1] == digit:
                continue
            log = place.catalogue(its[0], flipped(its[1], at, digit))
            assert served(log) == {key_of(1): thread(1), key_of(2): None}, at
            assert log.index.last_key == key_of(2)


@pytest.mark.parametrize("last", [True, False])
def test_an_entry_of_which_nothing_is_left_is_that_of_the_thread_with_a_file(
    place: Place, last: bool
) -> None:
    for number in (1, 2, 3):
        place.thread_file(number)
    its = [encode("t", number, thread(number)) for number in (1, 2, 3)]
    hit = 2 if last else 1
    its[hit] = b'{"c":"' + b"#" * (len(its[hit]) - 7) + b"\n"
    log = place.catalogue(*its)
    expected: Served = {key_of(number): thread(number) for number in (1, 2, 3)}
    expected[key_of(hit + 1)] = None
    assert served(log) == expected
    assert log.index.last_key == key_of(3)


def test_an_entry_of_which_neither_id_nor_file_is_left_is_still_an_error_in_its_place(
    place: Place,
) -> None:
    its = [encode("t", number, thread(number)) for number in (1, 5)]
    its.insert(1, b"#" * 200 + b"\n")
    log = place.catalogue(*its)
    found = served(log)
    assert list(found.values()) == [thread(1), None, thread(5)]
    at_the_end = place.catalogue(its[0], its[2], its[1])
    assert list(served(at_the_end).values()) == [thread(1), thread(5), None]
    assert at_the_end.index.last_key <= key_of(5) + 1


def test_a_deleted_thread_whose_file_is_still_there_is_no_lost_entry(place: Place) -> None:
    for number in (1, 2, 3):
        place.thread_file(number)
    its = [encode("t", number, thread(number)) for number in (1, 2, 3)]
    gone = encode("y", 4, only_id(thread(2)))
    its[2] = b"#" * 200 + b"\n"
    assert served(place.catalogue(*its, gone)) == {key_of(1): thread(1), key_of(3): None}


@pytest.mark.parametrize("kind", ["v", "y"])
def test_a_change_with_a_digit_of_another_thread_is_told_by_its_checksum(
    place: Place, kind: str
) -> None:
    its = [encode("t", number, thread(number)) for number in (1, 2, 3)]
    change = encode(kind, 4, thread(2, "newer") if kind == "v" else only_id(thread(2)))
    at = DATA_AT + 14 + 15
    log = place.catalogue(*its, flipped(change, at, b"3"))
    assert served(log) == {key_of(1): thread(1), key_of(2): None, key_of(3): thread(3)}


@pytest.mark.parametrize("hit", [35, 21])
def test_a_damaged_last_message_raises_the_highest_number_by_no_digit(
    place: Place, hit: int
) -> None:
    its = [encode("m", number, message(number)) for number in (1, 2, 3)]
    for at in range(DATA_AT + 23, DATA_AT + 31):
        twice = flipped(flipped(its[2], at, b"9"), hit, b"?")
        log = place.thread_log(*its[:2], twice)
        assert served(log) == {1: message(1), 2: message(2), 3: None}, at
