from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import OTHER_ORG, OTHER_PROJECT
from tests.server_process import ServerProcess
from tests.wire.http_call import Api

# Short bounds, so that a client that breaks them is seen off while the test waits.
TIGHT = """
[server]
body_bytes_max = 65536
header_seconds_max = 1.0
body_seconds_max = 1.0
keepalive_seconds = 1.0
"""


@pytest.fixture
def api(server: ServerProcess) -> Api:
    return Api(server, server.key)


@pytest.fixture
def other_project(server: ServerProcess) -> Api:
    return Api(server, server.keys[OTHER_PROJECT])


@pytest.fixture
def other_org(server: ServerProcess) -> Api:
    return Api(server, server.keys[OTHER_ORG])


@pytest.fixture
def quiet_org(server: ServerProcess, quiet_key: str) -> Api:
    return Api(server, quiet_key)


@pytest.fixture
def no_key(server: ServerProcess) -> Api:
    return Api(server, "")


@pytest.fixture(scope="session")
def tight_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with short bounds, for clients that try them."""
    process = ServerProcess(tmp_path_factory.mktemp("tight") / "data", config=TIGHT)
    process.start()
    yield process
    process.close()


@pytest.fixture
def tight(tight_server: ServerProcess) -> Iterator[Api]:
    """The server with short bounds, which must outlive the test unharmed and write nothing."""
    api = Api(tight_server, tight_server.key)
    before = files_of(tight_server.data_dir)
    log_before = len(tight_server.log)
    yield api
    assert tight_server.alive, tight_server.log
    assert Api(tight_server, "").call("GET", "/readyz").status == 200
    assert grown(tight_server.data_dir, before) == []
    assert "Traceback" not in tight_server.log[log_before:]


def files_of(data_dir: Path) -> dict[str, int]:
    """Every organisation's files of record with their sizes; derived files come and go."""
    return {
        str(path.relative_to(data_dir)): path.stat().st_size
        for path in sorted((data_dir / "orgs").rglob("*.jsonl"))
    }


def grown(data_dir: Path, before: dict[str, int]) -> list[str]:
    """The files of record that are new or have another size; deleted threads go when they like."""
    return [path for path, size in files_of(data_dir).items() if before.get(path) != size]
