"""Seeds that once broke a promise, and what was mended since.

A change of the simulator changes what a seed replays. What each of them found is therefore also a
mutation, or a test of its own; the smallest history of every mutation stands in `found`.
"""

from __future__ import annotations

import pytest

from tests.crash.askers import Askers
from tests.crash.histories import Clients, run_history
from tests.crash.session import Session

ONCE_WRONG = [
    pytest.param(4359, Session, id="a missing log of a copy got frames of two generations"),
    pytest.param(9067, Session, id="the simulator let a callback swallow a crash"),
    pytest.param(211, Askers, id="a thread whose delete has no answer may be gone"),
    pytest.param(249, Askers, id="two sweeps cleared the journal at once"),
    pytest.param(1289, Askers, id="a thread deleted in a sweep kept what it had deleted before"),
]


@pytest.mark.parametrize(("seed", "door"), ONCE_WRONG)
def test_a_history_that_was_once_wrong_is_right(seed: int, door: type[Clients]) -> None:
    run_history(seed, door=door)
