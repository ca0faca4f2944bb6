"""Start a real server and let Node's own test runner judge it: `make test-node`."""

from __future__ import annotations

import os
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
        server = ServerProcess(
            Path(folder) / "data", config="[tiers]\nbrisk = 300\n", owners=[BRISK]
        )
        server.start()
        try:
            environment = os.environ | {
                "RAGEN_TEST_URL": server.base_url,
                "RAGEN_TEST_KEY": server.key,
                "RAGEN_TEST_BRISK_KEY": server.keys[BRISK],
            }
            return subprocess.run(
                ["node", "--test", "client.test.mjs"], cwd=HERE, env=environment, check=False
            ).returncode
        finally:
            server.close()


if __name__ == "__main__":
    raise SystemExit(main())
