"""Each mechanism is needed: without it, and with nothing else changed, some history goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragen_actor.errors import Damaged
from storage import Options, Storage
from tests.actors.house import House, done, opened
from tests.crash import dooms, mutations, mutations_of_actors, mutations_of_upkeep
from tests.crash.found import FOUND_BY, HISTORIES_MAX, Way
from tests.crash.histories import run_history
from tests.crash.settings import Doom

Mutation = Callable[[pytest.MonkeyPatch], None]

MODULES = (mutations, mutations_of_upkeep, mutations_of_actors)
MUTATIONS: dict[str, Mutation] = {
    name: each
    for module in MODULES
    for name, each in vars(module).items()
    if getattr(each, "__module__", "") == module.__name__ and not name.startswith("_")
}


@pytest.mark.parametrize("name", FOUND_BY)
def test_the_simulator_goes_red_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    way = FOUND_BY[name]
    for seed in range(way.first, way.first + HISTORIES_MAX):
        with monkeypatch.context() as patch:
            MUTATIONS[name](patch)
            wrong = _is_wrong(seed, way)
        if wrong and not _is_wrong(seed, way):
            return
    raise AssertionError(f"nobody notices: {name}")


def test_every_mutation_is_tried() -> None:
    assert set(FOUND_BY) == set(MUTATIONS)


async def test_without_the_lock_two_servers_lose_what_they_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(data_dir=tmp_path / "data", journal_segment_bytes=256 * 1024)
    monkeypatch.setattr("storage.datadir.fcntl.flock", lambda *arguments: None)
    async with opened(options) as one:
        thread = await one.thread("first")
        other = House(await Storage.open(options), one.registry._limits)
        await done(other.append(thread, "of the other"))
        await done(one.append(thread, "of the one"))
        await other.close()
    # One has written over the other's longer line, and left the end of that behind its own.
    async with opened(options) as later:
        with pytest.raises(Damaged):
            await later.texts(thread)


def _is_wrong(seed: int, way: Way) -> bool:
    befall: Callable[[int], list[Doom]] = getattr(dooms, way.dooms)
    try:
        run_history(seed, dooms=befall(seed), door=way.door)
    except Exception:
        return True
    return False
