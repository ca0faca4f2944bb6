from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.faulty_server import FaultyServer

Serve = Callable[..., FaultyServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Make servers whose system calls can fail, and start them: `serve(data_dir, config=)`."""
    made: list[FaultyServer] = []

    def start(data_dir: Path | None = None, *, config: str = "") -> FaultyServer:
        server = FaultyServer(data_dir or tmp_path / f"server-{len(made)}" / "data", config=config)
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.close()
