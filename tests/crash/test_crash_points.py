"""Every named point is one at which some history ends, and nothing is lost there."""

from __future__ import annotations

import pytest

from tests.crash import points
from tests.crash.histories import run_history
from tests.crash.recipes import FIRST_SEEDS, UNREACHED, to_end_at

SEEDS_MAX = 200
REACHED = [each for each in points.named() if not each.startswith(tuple(UNREACHED))]


@pytest.mark.parametrize("name", REACHED)
def test_a_history_ends_before_and_after_each_sync_rename_and_unlink(name: str) -> None:
    first = FIRST_SEEDS.get(name, 0)
    for place in (f"before {name}", f"after {name}"):
        for seed in range(first, first + SEEDS_MAX):
            counts, _ = run_history(seed, dooms=to_end_at(place, seed))
            if counts.points[place]:
                break
        else:
            raise AssertionError(f"no history ended {place}")


def test_what_no_history_reaches_is_still_there() -> None:
    for prefix in UNREACHED:
        assert any(each.startswith(prefix) for each in points.named()), prefix


def test_a_trace_names_the_points_that_it_passes_and_the_one_where_it_ends() -> None:
    told: list[str] = []
    place = "before journal.Journal.rotate.write_durable"
    run_history(0, told.append, to_end_at(place, 0))
    ends = [line for line in told if f"crash {place}" in line]
    passed = {line.rpartition("[")[2].rstrip("]") for line in told if line.endswith("]")}
    assert len(ends) == 1
    assert passed <= set(points.named())
    assert {"journal._zero.sync", "datadir.write_meta.write_aside.replace"} <= passed
