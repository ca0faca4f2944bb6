"""The machine under the benchmark: which core does what, and what to say of it in a report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = str(_CORES[0]), str(_CORES[-1])

_PACKAGES = {"wrk": "wrk", "taskset": "util-linux", "strace": "strace", "cp": "coreutils"}
_LIBRARIES = ("aiohttp", "uvloop", "msgspec", "orjson")


def require(*programs: str) -> None:
    """End the process with a hint if one of these programs is missing, or a second core is.

    Raises:
        SystemExit: So it is.
    """
    for program in programs:
        if shutil.which(program) is None:
            sys.exit(f"this needs {program}: apt-get install {_PACKAGES[program]}")
    if SERVER_CORE == LOAD_CORE:
        sys.exit("this needs two cores: one for the server, one for the load")


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def command_line() -> str:
    """What to type for the same again."""
    module = Path(sys.argv[0])
    name = "bench" if module.name == "__main__.py" else f"bench.{module.stem}"
    return " ".join(["python -m", name, *sys.argv[1:]])


def description(folder: Path) -> str:
    """Return the lines of a report that say where it was made, as Markdown.

    Args:
        folder: Where the servers' files lie.
    """
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        (
            f"- machine: {_processor()}, {len(_CORES)} cores, {memory:.0f} GiB; load {load} before",
            f"- system: Linux {platform.release()}, files on {file_system(folder)}, "
            f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]} open files allowed",
            f"- Python {platform.python_version()}, {libraries}",
            f"- commit {_commit()}, at {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}",
            f"- command: `{command_line()}`",
        )
    )


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on."""
    asked = ["df", "--output=fstype", str(folder)]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return said.split()[-1]


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    said = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True)
    return said.stdout.strip() or "unknown"
