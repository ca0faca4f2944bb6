"""Long work on a data directory: by the server that has it, or alone where none has.

The server is asked through `control.sock`. Either way it is told on a terminal how far it is.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ragen_actor.cli import machine
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.cli.serve import set_up_logging
from ragen_actor.config import Config, ConfigError
from ragen_actor.control_path import SOCKET, control_path
from ragen_actor.errors import RagenError
from storage.datadir import META
from storage.errors import DataDirInUse

ANSWER_SECONDS_MAX = 30.0
"""The server tells every half second how far it is."""

_CLEAR_LINE = "\r\x1b[K"
_Report = TypeVar("_Report")


class NoAnswer(Exception):
    """A server has the data directory, and cannot be talked to."""


class Failed(Exception):
    """Why what was asked could not be done."""


def done(
    config: Config,
    alone: Callable[[Callable[[_Report], None]], _Report],
    path: str,
    body: object,
    report: type[_Report],
    words: Callable[[_Report], str],
) -> _Report | Exit:
    """Do the work or have it done; return its last report, or how the command ends without one.

    Args:
        config: All settings.
        alone: Does it where no server runs; is given what shows a report.
        path: Where the server is asked for it.
        body: What it is told.
        report: The kind of report.
        words: Says in one line how far it is.
    """
    data_dir = config.storage.data_dir
    if not (data_dir / META).exists():
        raise ConfigError(f"{data_dir}: this is no data directory; name it with --data-dir")
    set_up_logging("warning")
    machine.raise_open_files_limit()
    terminal = sys.stderr.isatty()

    def show(said: _Report) -> None:
        if terminal:
            print(f"{_CLEAR_LINE}{words(said)}", end="", file=sys.stderr, flush=True)

    def read(said: Any) -> _Report:
        return msgspec.convert(said, report)

    try:
        try:
            return alone(show)
        except DataDirInUse:
            return read(_ask(data_dir, path, body, lambda told: show(read(told))))
    except NoAnswer as error:
        return fail(
            Exit.NO_ANSWER,
            f"{data_dir}: another process has it and does not answer on {SOCKET}: {error}; "
            "it may be starting or stopping: try again, or look at its log",
        )
    except (Failed, RagenError) as error:
        return fail(Exit.FAILED, f"{data_dir}: {error}")
    finally:
        if terminal:
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)


def fail(code: Exit, reason: str) -> Exit:
    """Say why a command ends as it does."""
    print(f"ragen-actor: {reason}", file=sys.stderr)
    return code


def _ask(data_dir: Path, path: str, body: object, show: Callable[[Any], None]) -> Any:
    """Ask the server; return its last report."""
    connection = _Connection(data_dir)
    try:
        connection.request("POST", path, body=json.dumps(body))
        for line in connection.getresponse():
            said = json.loads(line)
            if "report" in said:
                show(said["report"])
            elif "failed" in said:
                raise Failed(said["failed"])
            else:
                return said["done"]
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(getattr(error, "strerror", None) or str(error) or repr(error)) from error
    finally:
        connection.close()
    raise NoAnswer("it ended before the work was done")


class _Connection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS_MAX)
        self._data_dir = data_dir

    def connect(self) -> None:
        """Connect by a path short enough for a socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with control_path(self._data_dir) as path:
            self.sock.connect(path)
