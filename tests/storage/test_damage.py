"""Damaged lines of a log: reading one is an error that names it, and its neighbours are served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import CatalogLog, DamagedRecord, RecordLog, ThreadLog
from storage.append import LogHeader
from storage.descriptors import Descriptors
from storage.durable import Disk
from storage.loading import load
from storage.record import DATA_AT, LINE_BYTES_MAX, encode
from storage.scan import lines
from storage.sidecar_file import SIDECAR_RECORDS
from tests.storage.samples import ORG, message, only_id, thread, thread_id

HEADER = encode("h", 0, b'{"id":"%b","org":"acme"}' % thread_id(1).encode())


class Bench:
    """Logs made by hand, opened as storage opens them."""

    def __init__(self, root: Path) -> None:
        self.disk = Disk(root)
        self.disk.probe()
        self.descriptors = Descriptors(self.disk, 10)

    def open(self, data: bytes, kind: type[RecordLog] = ThreadLog, owner: str = "") -> RecordLog:
        (self.disk.root / "log.jsonl").write_bytes(data)
        self.descriptors.distrust("log.jsonl")
        self.descriptors.trim()
        opened = kind("log.jsonl", self.disk, self.descriptors)
        load(opened, self.disk, owner=owner or thread_id(1))
        return opened

    def read(self, log: RecordLog, key: int) -> bytes:
        place = log.place(key)
        assert place is not None
        return log.read([place])[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.descriptors.close()


SEALED = [b"", b"not for everybody" * 9]


def messages(count: int, sealed: bytes = b"") -> list[bytes]:
    return [
        encode("m", number, message(number, f"text {number}"), sealed)
        for number in range(1, count + 1)
    ]


def test_a_log_is_read_as_it_was_written(bench: Bench) -> None:
    data = HEADER + b"".join(
        (
            *messages(4),
            encode("u", 2, message(2, "newer")),
            encode("x", 3, only_id(message(3))),
        )
    )
    log = bench.open(data)
    assert list(log.index.keys) == [1, 2, 4]
    assert bench.read(log, 2) == message(2, "newer")
    assert (log.end, log.index.records, log.index.last_key) == (len(data), 6, 4)
    assert not log.torn


@pytest.mark.parametrize("sealed", SEALED, ids=["plain", "sealed"])
@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_whichever_byte_of_a_message_is_damaged_it_is_named_and_all_others_are_served(
    bench: Bench, flip: int, sealed: bytes
) -> None:
    its = messages(4, sealed)
    start = len(HEADER) + len(its[0])
    whole = HEADER + b"".join(its)
    for place in range(start, start + len(its[1])):
        data = bytearray(whole)
        data[place] ^= flip
        log = bench.open(bytes(data))
        with pytest.raises(DamagedRecord) as damaged:
            bench.read(log, 2)
        assert (damaged.value.key, damaged.value.offset) == (2, start), place - start
        for key in (1, 3, 4):
            assert bench.read(log, key) == message(key, f"text {key}"), place - start
        assert log.index.last_key == 4
        assert not log.torn


@pytest.mark.parametrize("sealed", SEALED, ids=["plain", "sealed"])
def test_a_damaged_last_message_keeps_its_number_from_being_given_again(
    bench: Bench, sealed: bytes
) -> None:
    its = messages(3, sealed)
    whole = HEADER + b"".join(its)
    for place in range(len(whole) - len(its[2]), len(whole) - 1):
        data = bytearray(whole)
        data[place] ^= 1
        log = bench.open(bytes(data))
        assert isinstance(log, ThreadLog)
        assert log.next_sequence == 4, place
        with pytest.raises(DamagedRecord):
            bench.read(log, 3)


@pytest.mark.parametrize(
    ("kind", "sealed"), [("u", b""), ("u", SEALED[1]), ("x", b"")], ids=["new", "sealed", "gone"]
)
def test_a_damaged_change_makes_its_message_damaged_rather_than_old(
    bench: Bench, kind: str, sealed: bytes
) -> None:
    data_of = message(2, "newer") if kind == "u" else only_id(message(2))
    change = encode(kind, 2, data_of, sealed)
    start = len(HEADER) + sum(map(len, messages(3)))
    whole = HEADER + b"".join(messages(3)) + change + encode("m", 4, message(4))
    for place in range(DATA_AT + 1, len(change) - 2):
        data = bytearray(whole)
        data[start + place] ^= 1
        log = bench.open(bytes(data))
        with pytest.raises(DamagedRecord) as damaged:
            bench.read(log, 2)
        assert damaged.value.key == 2
        # Where the id itself is hit, it may name another message, which is then in doubt too.
        id_hit = DATA_AT + 23 <= place < DATA_AT + 31
        for key in (1, 4) if id_hit else (1, 3, 4):
            bench.read(log, key)


def test_several_damaged_messages_in_a_row_keep_their_own_numbers(bench: Bench) -> None:
    its = messages(6)
    data = bytearray(HEADER + b"".join(its))
    place = len(HEADER) + len(its[0])
    for line in its[1:4]:
        data[place + len(line) - 10] ^= 1
        place += len(line)
    log = bench.open(bytes(data))
    assert list(log.index.keys) == [1, 2, 3, 4, 5, 6]
    for key in (2, 3, 4):
        with pytest.raises(DamagedRecord) as damaged:
            bench.read(log, key)
        assert damaged.value.key == key
    assert bench.read(log, 5) == message(5, "text 5")


def test_a_hole_of_zeros_hides_nothing_behind_it(bench: Bench) -> None:
    its = messages(9)
    data = bytearray(HEADER + b"".join(its))
    start = len(HEADER) + len(its[0]) + 50
    data[start : start + 300] = bytes(300)
    log = bench.open(bytes(data))
    for key in (1, *range(5, 10)):
        assert bench.read(log, key) == message(key, f"text {key}")
    found = list(lines(bench.disk, bench.descriptors.acquire("log.jsonl").number, 0, len(data)))
    assert sum(len(line.data) for line in found) == len(data), "every byte is in some stretch"


def test_a_line_without_an_end_is_torn(bench: Bench) -> None:
    data = HEADER + b"".join(messages(2))
    log = bench.open(data[:-5])
    assert log.torn
    assert bench.read(log, 1) == message(1, "text 1")


@pytest.mark.parametrize("length", [0, 1, 30, len(HEADER) - 1])
def test_a_log_without_a_whole_header_is_not_opened(bench: Bench, length: int) -> None:
    with pytest.raises(DamagedRecord, match="header") as damaged:
        bench.open(HEADER[:length])
    assert damaged.value.offset == 0


def test_a_header_with_any_byte_changed_is_not_opened(bench: Bench) -> None:
    for place in range(len(HEADER)):
        data = bytearray(HEADER + b"".join(messages(1)))
        data[place] ^= 1
        with pytest.raises(DamagedRecord):
            bench.open(bytes(data))


def test_a_file_that_is_another_threads_is_not_opened(bench: Bench) -> None:
    with pytest.raises(DamagedRecord, match="the file is that of"):
        bench.open(HEADER, owner=thread_id(2))


def test_a_missing_file_is_damage_and_no_empty_thread(bench: Bench) -> None:
    log = ThreadLog("gone.jsonl", bench.disk, bench.descriptors)
    with pytest.raises(DamagedRecord, match="the file is missing"):
        load(log, bench.disk, owner=thread_id(1))


def test_a_damaged_entry_of_a_catalogue_hides_no_other_thread(bench: Bench) -> None:
    header = encode("h", 0, b'{"id":"acme","org":"acme"}')
    its = [encode("t", number, thread(number, "title")) for number in range(1, 5)]
    start = len(header) + len(its[0])
    keys = [CatalogLog.key(number, thread(number)) for number in range(1, 5)]
    for place in range(len(its[1])):
        data = bytearray(header + b"".join(its))
        data[start + place] ^= 1
        log = bench.open(bytes(data), CatalogLog, ORG)
        for number in (1, 3, 4):
            found = bench.read(log, keys[number - 1])
            assert found == thread(number, "title"), place
        if (position := log.index.find(keys[1])) is not None:
            with pytest.raises(DamagedRecord):
                log.read(log.places(range(position, position + 1)))


def test_what_stands_in_a_log_but_not_in_its_sidecar_is_read_from_the_log(bench: Bench) -> None:
    log = bench.open(HEADER + b"".join(messages(5)))
    save(bench, log)
    data = HEADER + b"".join(messages(8)) + encode("x", 2, only_id(message(2)))
    again = bench.open(data)
    assert list(again.index.keys) == [1, 3, 4, 5, 6, 7, 8]
    assert again.index.records == 9
    assert again.sidecar.records == 5


@pytest.mark.parametrize("what", ["generation", "last_line", "byte", "longer"])
def test_a_sidecar_that_does_not_fit_its_log_is_ignored(bench: Bench, what: str) -> None:
    whole = HEADER + b"".join(messages(5))
    log = bench.open(whole)
    log.index.apply("x", 1, 0, 0)  # So that one can tell whether the sidecar was believed.
    match what:
        case "generation":
            log.generation = 2
        case "last_line":
            log.last_line = b"00000000"
        case "longer":
            log.last_offset += 1
    save(bench, log, flip=what == "byte")
    assert len(bench.open(whole).index) == 5


def save(bench: Bench, log: RecordLog, *, flip: bool = False) -> None:
    data = bytearray(log.section().seal()[0])
    data[40] ^= flip
    (bench.disk.root / log.sidecar_path).write_bytes(data)


def test_a_header_may_carry_on_the_numbers_of_a_former_generation(bench: Bench) -> None:
    header = b'{"id":"%b","org":"acme","generation":4,"last_key":70,"last_ms":9}'
    log = bench.open(encode("h", 0, header % thread_id(1).encode()))
    assert isinstance(log, ThreadLog)
    assert (log.generation, log.next_sequence, log.index.last_ms) == (4, 71, 9)


def test_a_header_has_defaults_for_all_that_was_added_later() -> None:
    assert LogHeader(id="x", org="y") == LogHeader("x", "y", 1, 0, 0, 0)


def test_a_log_shorter_than_a_sidecars_worth_is_read_in_one_pass(bench: Bench) -> None:
    log = bench.open(HEADER + b"".join(messages(SIDECAR_RECORDS)))
    assert len(log.index) == SIDECAR_RECORDS
    assert log.index.last_ms == int(message(1)[11:23], 16)


def test_a_page_of_garbage_ends(bench: Bench) -> None:
    data = HEADER + b"\n" * 500 + b'{"c":"' * 500 + b"\n" + messages(1)[0]
    log = bench.open(data)
    assert bench.read(log, 1) == message(1, "text 1")


def test_many_damaged_lines_are_passed_quickly_and_logged_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    its = encode("m", 1, message(1)).replace(b"hello", b"HELLO") * 20_000
    started = time.process_time()
    bench.open(HEADER + its)
    assert time.process_time() - started < 5.0
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"log.jsonl:{len(HEADER)}:" in record.getMessage()
    assert "20000" in record.getMessage()


@pytest.mark.parametrize("filler", [b"x", b'{"c":"'])
def test_a_file_without_newlines_is_read_in_pieces(bench: Bench, filler: bytes) -> None:
    data = filler * (5 * LINE_BYTES_MAX // len(filler)) + b"\n" + messages(1)[0]
    (bench.disk.root / "log.jsonl").write_bytes(data)
    with bench.disk.opened("log.jsonl") as descriptor:
        found = list(lines(bench.disk, descriptor, 0, len(data)))
    assert max(len(line.data) for line in found) <= 2 * LINE_BYTES_MAX
    assert b"".join(line.data for line in found) == data
    assert found[-1].fault == ""


@pytest.mark.parametrize(
    "line",
    [
        encode("t", 9, thread(9)),
        encode("m", 3, message(8)),
        encode("m", 3, b'{"no":"id"}'),
        encode("m", 3, b'{"id":"msg-%b' % (b"-" * 40)),
    ],
)
def test_a_sound_line_that_does_not_fit_is_damage_and_stops_nothing(
    bench: Bench, line: bytes
) -> None:
    its = messages(2)
    log = bench.open(HEADER + b"".join(its) + line)
    for key in (1, 2):
        assert bench.read(log, key) == message(key, f"text {key}")
    for key in list(log.index.keys)[2:]:
        with pytest.raises(DamagedRecord):
            bench.read(log, key)
    assert not log.torn


def catalogue(bench: Bench, *its: bytes) -> RecordLog:
    header = encode("h", 0, b'{"id":"acme","org":"acme"}')
    return bench.open(header + b"".join(its), CatalogLog, ORG)


@pytest.mark.parametrize("kind", [b"u", b"v"])
def test_an_entry_of_a_catalogue_with_a_flipped_kind_is_damaged_and_not_dropped(
    bench: Bench, kind: bytes
) -> None:
    its = [encode("t", number, thread(number)) for number in (1, 2, 3)]
    for hit in (1, 2):
        damaged = [*its]
        damaged[hit] = its[hit].replace(b'"k":"t"', b'"k":"%b"' % kind)
        log = catalogue(bench, *damaged)
        key = CatalogLog.key(0, thread(hit + 1))
        with pytest.raises(DamagedRecord):
            bench.read(log, key)


@pytest.mark.parametrize("digit", [b"f", b"~"])
@pytest.mark.parametrize("kind", ["v", "y"])
def test_a_change_of_a_thread_with_a_damaged_digit_makes_the_thread_that_it_means_damaged(
    bench: Bench, kind: str, digit: bytes
) -> None:
    its = [encode("t", number, thread(number)) for number in (0x11, 0x22, 0x33)]
    change = encode(kind, 4, thread(0x22, "newer") if kind == "v" else only_id(thread(0x22)))
    at = DATA_AT + 14 + 14
    log = catalogue(bench, *its, change[:at] + digit + change[at + 1 :])
    with pytest.raises(DamagedRecord):
        bench.read(log, CatalogLog.key(0, thread(0x22)))
    for number in (0x11, 0x33):
        bench.read(log, CatalogLog.key(0, thread(number)))
