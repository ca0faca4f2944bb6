"""Start a real server and let Node's own test runner judge it: `make test-node`."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.server_process import KeyOwner, ServerProcess

HERE = Path(__file__).resolve().parent
# A token each 200 ms, so that the client recovers from a 429 while the test waits.
BRISK = KeyOwner(org="brisk", project="web", tier="brisk")


def main() -> int:
    """Run the tests and return Node's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        upstream = f'[upstream]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        server = ServerProcess(
            Path(folder) / "data", config=f"[tiers]\nbrisk = 300\n{upstream}", owners=[BRISK]
        )
        server.start()
        try:
            environment = os.environ | {
                "RAGEN_TEST_URL": server.base_url,
                "RAGEN_TEST_KEY": server.key,
                "RAGEN_TEST_BRISK_KEY": server.keys[BRISK],
                "RAGEN_TEST_UPSTREAM_PORT": str(port),
            }
            tests = ["client.test.mjs", "generation.test.mjs"]
            return subprocess.run(
                ["node", "--test", *tests], cwd=HERE, env=environment, check=False
            ).returncode
        finally:
            server.close()


def free_port() -> int:
    """A port for the upstream that a test starts once the server names it already."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
