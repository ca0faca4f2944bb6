"""The fixtures that start real server processes; a test that asks for none of them pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server_process import KeyOwner, ServerProcess

# Keys that come with the shared server. A test that must see a whole list takes an organisation
# that nobody else writes to; there are as many as the tests that ask for one.
OTHER_PROJECT = KeyOwner(project="mobile")
OTHER_ORG = KeyOwner(org="globex", project="depot")
QUIET_ORGS = tuple(KeyOwner(org=f"quiet-{number}") for number in range(10))
_quiet_left = list(QUIET_ORGS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with the default configuration, shared by all tests that only talk to it."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    process = ServerProcess(data_dir, owners=[OTHER_PROJECT, OTHER_ORG, *QUIET_ORGS])
    process.start()
    yield process
    process.close()


@pytest.fixture
def quiet_key(server: ServerProcess) -> str:
    """A key of an organisation that has no thread yet, and that no other test writes to."""
    assert _quiet_left, "more tests than quiet organisations: make more of them"
    return server.keys[_quiet_left.pop()]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server of the test's own, to configure, kill and restart: `start_server(config=)`."""
    started: list[ServerProcess] = []

    def start(*, config: str = "", owners: tuple[KeyOwner, ...] = ()) -> ServerProcess:
        data_dir = tmp_path / f"server-{len(started)}" / "data"
        process = ServerProcess(data_dir, config=config, owners=owners)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.close()


@pytest.fixture
def own_server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server of the test's own with the default configuration."""
    return start_server()
