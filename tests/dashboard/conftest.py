from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from ragen_actor.vault.master_key_file import create
from tests.dashboard.visitor import Visitor
from tests.server_process import KeyOwner, ServerProcess
from tests.wire.http_call import Api

OWNERS = tuple(KeyOwner(org=f"house-{number}") for number in range(160))
SLOW = KeyOwner(org="slow", tier="default")
GENEROUS = """
[dashboard]
sign_ins_per_minute = 10000
reads_per_minute = 1000000
"""
_next_owner = count()


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a master key in a file, on which each test has an organisation of its own."""
    folder = tmp_path_factory.mktemp("dashboard")
    process = ServerProcess(
        folder / "data", config=with_key(folder) + GENEROUS, owners=[*OWNERS, SLOW]
    )
    process.start()
    yield process
    process.close()


def with_key(folder: Path) -> str:
    """Make a master key; return the settings that name it."""
    path = folder / "master.key"
    create(path, folder / "data")
    return f'[vault]\nmaster_key_files = ["{path}"]\n'


@pytest.fixture
def owner() -> KeyOwner:
    """An organisation that no other test writes to."""
    return OWNERS[next(_next_owner)]


@pytest.fixture
def api(dashboard: ServerProcess, owner: KeyOwner) -> Api:
    """The same organisation through the API."""
    return Api(dashboard, dashboard.keys[owner])


@pytest.fixture
def stranger(dashboard: ServerProcess) -> Visitor:
    """Somebody who is not signed in."""
    return Visitor(dashboard.port)


@pytest.fixture
def visitor(dashboard: ServerProcess, owner: KeyOwner) -> Visitor:
    """Somebody who is signed in."""
    return Visitor(dashboard.port).sign_in(dashboard.keys[owner])


@pytest.fixture
def elsewhere(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> Callable[[str], ServerProcess]:
    """Start a server of the test's own with further settings."""
    return lambda config: start_server(config=with_key(tmp_path) + config)
