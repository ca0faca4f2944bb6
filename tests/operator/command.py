"""Commands as an operator runs them: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import ROOT

SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


def start(*words: str, data_dir: Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith(("RAGEN_", "AWS_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ragen_actor", *words, "--data-dir", str(data_dir)],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str, data_dir: Path, cwd: Path = ROOT) -> Ran:
    with start(*words, data_dir=data_dir, cwd=cwd) as process:
        out, err = process.communicate(timeout=SECONDS_MAX)
    return Ran(process.returncode, out, err)


def holding(data_dir: Path, text: str) -> list[str]:
    """Name every file in which a text stands."""
    return [
        str(path.relative_to(data_dir))
        for path in sorted(data_dir.rglob("*"))
        if path.is_file() and text.encode() in path.read_bytes()
    ]
