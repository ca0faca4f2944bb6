from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from ragen_actor.config import Config
from ragen_actor.open_files import connections_max, storage_options
from storage.batch import BATCH_LINES_MAX
from storage.segment_file import SEGMENTS


@pytest.fixture(params=[1024, 2048, 4096])
def allowed(request: pytest.FixtureRequest) -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (request.param, before[1]))
    yield request.param
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_stay_open_as_far_as_the_limit_goes(allowed: int) -> None:
    options = storage_options(Config(), connections=64)
    others = 128 + 64 * 5 // 2
    assert options.open_files_max >= (allowed - others) // 3
    assert options.open_files_max >= allowed - others - BATCH_LINES_MAX - 64


def test_the_limit_holds_what_stays_open_and_what_waits_for_a_checkpoint(allowed: int) -> None:
    connections = connections_max(Config())
    options = storage_options(Config(), connections)
    others = 128 + connections * 5 // 2
    assert options.open_files_max + others <= allowed
    assert SEGMENTS * options.dirty_files_max + others <= allowed


def test_ten_thousand_threads_can_be_written_in_turn_without_opening_one_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (20_000, 20_000))
    config = Config()
    assert storage_options(config, connections_max(config)).open_files_max >= 10_000
