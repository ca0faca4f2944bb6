"""An AWS KMS that answers over HTTP: moto's server, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

REGION = "eu-central-1"
SECONDS_MAX = 30.0


class KmsServer:
    """It forgets its keys when it stops.

    Attributes:
        url: Where it listens; the port stays the same when it is started again.
    """

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
        until = time.monotonic() + SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < until, self._log.read_text()
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    @classmethod
    def running(cls, log: Path, patch: pytest.MonkeyPatch) -> Iterator[KmsServer]:
        """Yield one that runs, to which AWS's client is led; for fixtures."""
        server = cls(log)
        server.lead_here(patch)
        server.start()
        yield server
        server.stop()

    def lead_here(self, patch: pytest.MonkeyPatch) -> None:
        """Lead AWS's client here."""
        for name, value in self.environ.items():
            patch.setenv(name, value)

    @property
    def environ(self) -> dict[str, str]:
        """What leads AWS's client here."""
        return {
            "AWS_ENDPOINT_URL_KMS": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    async def ask(self, call: str, **arguments: Any) -> Any:
        making = get_session().create_client("kms", endpoint_url=self.url, region_name=REGION)
        async with making as client:
            return await getattr(client, call)(**arguments)

    async def new_key(self) -> str:
        """Make a key; return its ARN."""
        return str((await self.ask("create_key"))["KeyMetadata"]["Arn"])
