"""What was acknowledged survives SIGKILL at any moment, and what was not is there whole or not."""

from __future__ import annotations

import random

import pytest

from tests.faults.conftest import Serve
from tests.faults.faulty_server import TINY
from tests.faults.ledger import Ledger
from tests.faults.writers import Writers


@pytest.mark.parametrize(
    ("config", "lives"), [("", 8), (TINY, 20)], ids=["default", "tiny-segments"]
)
def test_lives_that_end_in_kill_nine_lose_nothing(serve: Serve, config: str, lives: int) -> None:
    chance = random.Random("lives")
    server = serve(config=config)
    ledger = Ledger()
    for life in range(lives):
        with Writers(ledger, server.port, server.key, seed=f"{life}") as writers:
            writers.wait_for(chance.randrange(1, 250))
            server.kill()
        if life % 3 == 2:
            # Killed while it recovers, or before, or just after.
            server.start_to_die(seconds=chance.uniform(0.05, 1.0))
        server.restart()
        found = server.found()
        ledger.judge(found)
        ledger.settle(found)
    assert ledger.acknowledged > lives
    assert server.terminate() == 0
    checked = server.check()
    assert checked.returncode == 0, checked
    print(f"{lives} lives, {ledger.acknowledged} objects kept")
