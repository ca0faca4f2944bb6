"""A call that fails is never acknowledged, costs no read, and is over when the fault is over.

strace makes the calls of the running process fail; no part of the server knows of it.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.asking import append, create, insist_that_nothing_is_lost, start_a_thread, texts
from tests.faults.conftest import Serve
from tests.faults.faulty_server import TINY
from tests.faults.ledger import Ledger
from tests.faults.writers import Writers

UNHURRIED = """
[server]
body_bytes_max = 65536
[storage]
journal_segment_bytes = 1048576
checkpoint_seconds = 3600
disk_reserve_bytes = 0
"""
"""No checkpoint comes between a fault and what it does."""
EAGER = """
[server]
body_bytes_max = 65536
[storage]
journal_segment_bytes = 1048576
checkpoint_seconds = 0.2
disk_reserve_bytes = 0
"""
"""A checkpoint comes with almost every tick."""
write_to_few = partial(Writers, creates=0.02, threads_max=8)
"""To so few threads, whatever the pace, that each file is synced by itself."""
write_to_many = partial(Writers, creates=0.5)
"""To so many that one call makes them all durable."""


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
def test_a_journal_that_cannot_be_written_is_said_so_until_it_can_be(
    serve: Serve, error: str
) -> None:
    server, ledger = serve(config=UNHURRIED), Ledger()
    thread = start_a_thread(server, ledger)
    with server.faults(f"pwritev2:error={error}:when=1+"):
        unknown = append(server, ledger, thread, "the first to fail")
        assert unknown.status == 500
        assert unknown.headers["x-should-retry"] == "false"
        refused = append(server, ledger, thread, "refused")
        assert refused.status == 503
        assert "x-should-retry" not in refused.headers
        assert server.wait_until_readiness_is(503).startswith("The server cannot write: ")
        assert texts(server, thread) == ["before: first"]
    # Nobody writes: the server finds out by itself.
    server.wait_until_readiness_is(200)
    assert append(server, ledger, thread, "after").status == 200
    insist_that_nothing_is_lost(server, ledger)


@pytest.mark.parametrize(
    "rule",
    [
        "pwritev2:error=EIO:when=3..5",
        "pwritev2:retval=512:when=4..6",
        "pwrite64:error=ENOSPC:when=2..9",
        "pwrite64:retval=1:when=3..6",
        "fdatasync:error=EIO:when=1..3",
        "fsync:error=EIO:when=1..3",
        "syncfs:error=EIO:when=1..3",
        "openat:error=EIO:when=2..4",
        "openat:error=EMFILE:when=3..6",
    ],
)
def test_writers_go_on_by_themselves_when_a_fault_is_over(serve: Serve, rule: str) -> None:
    server, ledger = serve(config=EAGER), Ledger()
    write = {"fdatasync": write_to_few, "fsync": write_to_few, "syncfs": write_to_many}
    start = write.get(rule.partition(":")[0], Writers)
    with start(ledger, server.port, server.key, seed=rule) as writers:
        writers.wait_for(80)
        with server.faults(rule):
            writers.wait_for(120)
            server.wait_until_injected()
        server.wait_until_readiness_is(200)
        writers.wait_for(60)
    print(f"{rule}: {server.injected} injected, {dict(writers.replies)}")
    server.wait_until_readiness_is(200)
    insist_that_nothing_is_lost(server, ledger)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_file_that_did_not_take_what_the_journal_holds_gets_it_later(
    serve: Serve, error: str
) -> None:
    server, ledger = serve(config=UNHURRIED), Ledger()
    thread, other = start_a_thread(server, ledger), start_a_thread(server, ledger, "other")
    with server.faults(f"pwrite64:error={error}:when=1+"):
        unknown = append(server, ledger, thread, "in the journal alone")
        assert unknown.status == 500
        assert unknown.headers["x-should-retry"] == "false"
        assert append(server, ledger, thread, "not on top of it").status == 503
        assert texts(server, thread) == ["before: first"]
        assert texts(server, other) == ["other: first"]
        server.wait_until_readiness_is(503)
    server.wait_until_readiness_is(200)
    assert append(server, ledger, thread, "after").status == 200
    assert texts(server, thread) == ["before: first", "in the journal alone", "after"]
    insist_that_nothing_is_lost(server, ledger)


def test_a_server_is_not_ready_while_a_single_file_lacks_what_the_journal_holds(
    serve: Serve,
) -> None:
    server, ledger = serve(config=UNHURRIED), Ledger()
    thread, other = start_a_thread(server, ledger), start_a_thread(server, ledger, "other")
    # The committer's first two: the thread's file, and its first try to make up for it.
    with server.faults("pwrite64:error=EIO:when=1", "fdatasync:error=EIO:when=1+"):
        assert append(server, ledger, thread, "owed").status == 500
        assert append(server, ledger, other, "not its business").status == 200
        assert server.readiness()[0] == 503
    server.wait_until_readiness_is(200)
    insist_that_nothing_is_lost(server, ledger)


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_checkpoint_that_fails_is_said_so_and_costs_no_acknowledgement(
    serve: Serve, call: str
) -> None:
    server, ledger = serve(config=EAGER), Ledger()
    thread = start_a_thread(server, ledger)
    with server.faults(f"{call}:error=EIO:when=1+"):
        assert append(server, ledger, thread, "acknowledged").status == 200
        if call == "fsync":
            start_a_thread(server, ledger, "a new name in a directory")
        why = server.wait_until_readiness_is(503)
        assert why.startswith("The server cannot write: ")
        assert append(server, ledger, thread, "acknowledged too").status == 200
        assert texts(server, thread)[:2] == ["before: first", "acknowledged"]
    server.wait_until_readiness_is(200)
    insist_that_nothing_is_lost(server, ledger)


def test_no_journal_is_used_again_before_its_files_are_durable(serve: Serve) -> None:
    server, ledger = serve(config=TINY), Ledger()
    with write_to_few(ledger, server.port, server.key, seed="full") as writers:
        writers.wait_for(20)
        with server.faults("fdatasync:error=EIO:when=1+"):
            # Four segments fill up; then commits wait, and are refused at last.
            server.wait_for_log("every journal segment waits for its checkpoint", seconds=40)
            server.wait_until_readiness_is(503)
            server.kill()
    server.restart()
    found = server.found()
    ledger.judge(found)
    ledger.settle(found)
    insist_that_nothing_is_lost(server, ledger)


def test_a_thread_whose_file_cannot_be_made_is_there_when_it_can_be(serve: Serve) -> None:
    server, ledger = serve(config=UNHURRIED), Ledger()
    thread = start_a_thread(server, ledger)
    with server.faults("openat:error=ENOSPC:when=1+"):
        assert create(server, ledger, "no name", ["first"]).status == 500
        assert append(server, ledger, thread, "another file").status == 200
        assert texts(server, thread) == ["before: first", "another file"]
        server.wait_until_readiness_is(503)
    server.wait_until_readiness_is(200)
    assert [each.thread["metadata"]["text"] for each in server.found()] == ["before", "no name"]
    insist_that_nothing_is_lost(server, ledger)


@pytest.mark.parametrize("call", ["pwritev2", "pwrite64", "fdatasync", "fsync", "openat"])
def test_a_process_that_dies_within_a_call_loses_nothing(serve: Serve, call: str) -> None:
    server, ledger = serve(config=TINY), Ledger()
    for place in (1, 2, 3) if call in ("fdatasync", "fsync") else (1, 4, 11):
        with (
            write_to_few(ledger, server.port, server.key, seed=f"{call}.{place}"),
            server.faults(f"{call}:signal=KILL:when={place}"),
        ):
            server.wait_until_dead()
        server.restart()
        found = server.found()
        ledger.judge(found)
        ledger.settle(found)
    insist_that_nothing_is_lost(server, ledger)


def test_a_server_that_stops_while_it_cannot_write_ends_well_and_forgets_nothing(
    serve: Serve,
) -> None:
    server, ledger = serve(config=UNHURRIED), Ledger()
    thread = start_a_thread(server, ledger)
    with server.faults("pwrite64:error=EIO:when=1+", "fdatasync:error=EIO:when=1+"):
        assert append(server, ledger, thread, "owed").status == 500
        assert server.terminate() == 0
    assert "Traceback" not in server.log
    server.restart()
    insist_that_nothing_is_lost(server, ledger)


def test_a_slow_sync_is_logged(serve: Serve) -> None:
    slow = UNHURRIED + "sync_slow_seconds = 0.1\n"
    server, ledger = serve(config=slow), Ledger()
    thread = start_a_thread(server, ledger)
    with server.faults("pwritev2:delay_enter=300ms:when=1"):
        assert append(server, ledger, thread, "late").status == 200
    server.wait_for_log("a journal sync took 0.3")
    assert "WARNING" in next(line for line in server.log.splitlines() if "sync took" in line)


def test_a_slow_sync_of_a_file_is_logged(serve: Serve) -> None:
    slow = EAGER + "sync_slow_seconds = 0.1\n"
    server, ledger = serve(config=slow), Ledger()
    with server.faults("fdatasync:delay_enter=300ms:when=1"):
        start_a_thread(server, ledger)
        server.wait_for_log(".jsonl: a sync took 0.3")
