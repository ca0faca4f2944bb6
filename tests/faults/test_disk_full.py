"""A full disk is said so, loses nothing, costs no read, and is over when there is room again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.faults.asking import append, create, insist_that_nothing_is_lost, start_a_thread, texts
from tests.faults.conftest import Serve
from tests.faults.faulty_server import FaultyServer
from tests.faults.ledger import Ledger
from tests.faults.small_file_system import MEBIBYTE, Ballast, ext4, tmpfs
from tests.faults.writers import Writers

SMALL = """
[server]
body_bytes_max = 65536
[storage]
journal_segment_bytes = 131072
checkpoint_seconds = 0.3
disk_reserve_bytes = {reserve}
"""
RESERVE = 2 * MEBIBYTE
Mount = Callable[..., AbstractContextManager[Path]]


# `place` comes before `serve` in every test: what is mounted first is unmounted last.
@pytest.fixture(params=[tmpfs, ext4], ids=["tmpfs", "ext4"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    mount: Mount = request.param
    with mount(tmp_path / "small", size=16 * MEBIBYTE) as mounted:
        yield mounted


@pytest.fixture
def few_names(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", size=16 * MEBIBYTE, inodes=1000) as mounted:
        yield mounted


def sizes(data_dir: Path) -> dict[str, int]:
    return {
        str(each.relative_to(data_dir)): each.stat().st_size for each in data_dir.rglob("*.jsonl")
    }


def insist_on_resumption(server: FaultyServer, ledger: Ledger) -> None:
    """Nobody writes until the server says that it can; then everything is taken again."""
    server.wait_until_readiness_is(200)
    thread = start_a_thread(server, ledger, "after")
    assert append(server, ledger, thread, "after: second").status == 200
    insist_that_nothing_is_lost(server, ledger)
    assert server.terminate() == 0


def test_below_the_reserve_writes_are_refused_before_anything_is_written(
    place: Path, serve: Serve
) -> None:
    server, ledger = serve(place / "data", config=SMALL.format(reserve=RESERVE)), Ledger()
    ballast = Ballast(place)
    thread = start_a_thread(server, ledger)
    server.wait_until_readiness_is(200)
    before = sizes(server.data_dir)
    ballast.leave(RESERVE - 65536)

    for reply in (
        append(server, ledger, thread, "refused"),
        create(server, ledger, "refused too", ["first"]),
    ):
        assert reply.status in (500, 503)
        pass
        assert reply.headers["retry-after"] == "10"
    assert sizes(server.data_dir) == before
    assert texts(server, thread) == ["before: first"]
    assert "bytes are free" in server.wait_until_readiness_is(503)

    ballast.drop()
    insist_on_resumption(server, ledger)


def test_a_disk_that_fills_up_under_writers_loses_nothing_and_is_written_again(
    place: Path, serve: Serve
) -> None:
    server, ledger = serve(place / "data", config=SMALL.format(reserve=0)), Ledger()
    ballast = Ballast(place)
    thread = start_a_thread(server, ledger)
    with Writers(ledger, server.port, server.key, seed="full", padding=4000) as writers:
        writers.wait_for(60)
        ballast.leave(0)
        writers.wait_for_failure()
        server.wait_until_readiness_is(503)
        assert texts(server, thread)[0] == "before: first"
        ballast.drop()
        server.wait_until_readiness_is(200)
        writers.wait_for(60)
    print(dict(writers.replies))
    insist_on_resumption(server, ledger)


def test_a_disk_without_a_free_name_is_full_before_anything_is_written(
    few_names: Path, serve: Serve
) -> None:
    server, ledger = serve(few_names / "data", config=SMALL.format(reserve=0)), Ledger()
    ballast = Ballast(few_names)
    thread = start_a_thread(server, ledger)
    server.wait_until_readiness_is(200)
    before = sizes(server.data_dir)
    ballast.take_names()
    for number in range(50):
        for reply in (
            create(server, ledger, f"thread {number}", ["first"]),
            append(server, ledger, thread, f"message {number}"),
        ):
            assert reply.status == 503
            assert reply.error["code"] == "insufficient_storage"
    assert "files can be made" in server.wait_until_readiness_is(503)
    assert sizes(server.data_dir) == before
    assert texts(server, thread) == ["before: first"]
    ballast.drop()
    insist_on_resumption(server, ledger)
