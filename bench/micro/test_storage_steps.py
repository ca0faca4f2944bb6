from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from bench.datasets import TEXT, Thread
from storage.index import Index
from storage.record import encode, payload

DATA = Thread(1).message(7, TEXT)
LINE = encode("m", 7, DATA)
MANY = 100_000


def long_index() -> Index:
    index = Index()
    for key in range(1, MANY + 1):
        index.apply("m", key, key * 500, 500)
    return index


def test_record_encode(benchmark: BenchmarkFixture) -> None:
    assert benchmark(encode, "m", 7, DATA) == LINE


def test_record_check(benchmark: BenchmarkFixture) -> None:
    assert benchmark(payload, LINE, 0, len(LINE)) == DATA


def test_index_lookup_among_100_000(benchmark: BenchmarkFixture) -> None:
    assert benchmark(long_index().find, 77_777) == 77_776


def test_index_page_of_20_among_100_000(benchmark: BenchmarkFixture) -> None:
    page = long_index().page

    def deep() -> int:
        return len(page(limit=20, ascending=False, after=50_000, before=None, bytes_max=1 << 23)[0])

    assert benchmark(deep) == 20


def test_index_takes_a_record_in(benchmark: BenchmarkFixture) -> None:
    index = long_index()

    def add() -> None:
        index.apply("m", index.last_key + 1, 500, 500)

    benchmark(add)
