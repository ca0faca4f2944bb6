"""OpenAI-compatible servers that others wrote, as processes of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server_process import ROOT

START_SECONDS_MAX = 60.0


@contextmanager
def llama_cpp(folder: Path) -> Iterator[str]:
    """llama.cpp's server with a model that says nonsense; yields its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.upstream.tiny_model", str(folder), str(port)]
    with running(command, f"http://127.0.0.1:{port}", folder / "llama.log") as address:
        yield f"{address}/v1"


@contextmanager
def llmock(folder: Path, *options: str) -> Iterator[str]:
    """A server that calls tools and fails on demand; yields its base URL."""
    port = free_port()
    program = Path(sys.executable).with_name("llmock")
    command = [str(program), "serve", "-h", "127.0.0.1", "-p", str(port), *options]
    with running(command, f"http://127.0.0.1:{port}", folder / "llmock.log") as address:
        yield f"{address}/v1"


@contextmanager
def running(command: list[str], address: str, log: Path) -> Iterator[str]:
    """Run a server until the block ends; yield its address once it answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers(f"{address}/v1/models"):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    """Tell whether somebody answers there, whatever the answer is but 503."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code != 503
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
