"""How long a start takes is bounded by the journal's size, also when all of that has to be done."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.faults.conftest import Serve
from tests.faults.faulty_server import FaultyServer
from tests.faults.full_journal import THREADS
from tests.server_process import ROOT

SECONDS_MAX = 30.0
"""Far more than it takes anywhere: that it ends at all soon is the promise."""

DEATHS = [
    "pwrite64:signal=KILL:when=3",
    "pwrite64:signal=KILL:when=200",
    "fdatasync:signal=KILL:when=100",
    "fsync:signal=KILL:when=1",
]
"""Where recovery is killed before it may come to its end."""


def test_a_full_journal_is_done_again_in_seconds_also_after_deaths_in_recovery(
    serve: Serve, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    filled = subprocess.run(
        [sys.executable, "-m", "tests.faults.full_journal", str(data_dir)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert filled.returncode == -9
    taken = int(filled.stdout)
    lost = tmp_path / "data.lost"
    unlucky = FaultyServer(lost)
    for rule in DEATHS:
        assert unlucky.start_to_die(rule), rule
    for place, state in ((data_dir, "in its file"), (lost, "lost")):
        server = serve(place)
        found = re.search(r"ready after ([0-9.]+) s; (\d+) batches", server.log)
        assert found is not None, server.log
        print(f"{taken} messages, each {state}: {found[2]} batches in {found[1]} s")
        assert float(found[1]) < SECONDS_MAX
        threads = server.ask("GET", "/v1/threads?limit=100").body["data"]
        assert len(threads) == min(THREADS, 100)
        with closing(server.client()) as client:
            for each in threads[::10]:
                messages = list(client.every(f"/v1/threads/{each['id']}/messages"))
                assert len(messages) == taken // THREADS
        assert server.terminate() == 0
        checked = server.check()
        assert checked.returncode == 0, checked
