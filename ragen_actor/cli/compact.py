"""`ragen-actor compact`: what was deleted leaves the disk, with or without a server."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ragen_actor.cli import machine
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.cli.serve import set_up_logging
from ragen_actor.config import Config, ConfigError
from ragen_actor.control_path import SOCKET, control_path
from storage.datadir import META
from storage.errors import DataDirInUse

ANSWER_SECONDS_MAX = 30.0
"""The server tells every half second how far it is."""

_CLEAR_LINE = "\r\x1b[K"


class NoAnswer(Exception):
    """A server has the data directory, and cannot be talked to."""


class Failed(Exception):
    """The server says why it could not do what was asked."""


def compact(arguments: argparse.Namespace, config: Config) -> Exit:
    """Have it done by the server that has the data directory, or do it."""
    from ragen_actor.actors.sweep import Report
    from ragen_actor.server import compact_alone  # Takes longest to import.

    data_dir = config.storage.data_dir
    if not (data_dir / META).exists():
        raise ConfigError(f"{data_dir}: this is no data directory; name it with --data-dir")
    set_up_logging("warning")
    machine.raise_open_files_limit()
    show = _shown if sys.stderr.isatty() else _ignored
    try:
        try:
            report = compact_alone(config, now=arguments.now, show=show)
        except DataDirInUse:
            said = _ask(data_dir, now=arguments.now, show=lambda told: show(_read(told, Report)))
            report = _read(said, Report)
    except NoAnswer as error:
        return _fail(
            Exit.NO_ANSWER,
            f"{data_dir}: another process has it and does not answer on {SOCKET}: {error}; "
            "it may be starting or stopping: try again, or look at its log",
        )
    except Failed as error:
        return _fail(Exit.FAILED, f"{data_dir}: {error}")
    finally:
        if sys.stderr.isatty():
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)
    print(f"{data_dir}: {_summary(report, now=arguments.now)}")
    if report.failed:
        return _fail(
            Exit.FAILED,
            f"{report.failed} files could not be rewritten: the log says why, and "
            "`ragen-actor check` what is damaged",
        )
    return Exit.FINE


def _ask(data_dir: Path, *, now: bool, show: Callable[[Any], None]) -> Any:
    """Ask the server; return its last report."""
    connection = _Connection(data_dir)
    try:
        connection.request("POST", "/compact", body=json.dumps({"now": now}))
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


def _read(said: Any, kind: Any) -> Any:
    return msgspec.convert(said, kind)


def _summary(report: Any, *, now: bool) -> str:
    text = (
        f"{report.compacted} of {report.logs} files rewritten, {report.saved_bytes:,} bytes saved, "
        f"the files of {report.removed} deleted threads removed"
    )
    if now:
        text += ", the journal cleared"
    if report.aside:
        text += (
            f"; {report.aside} files that were laid aside (*.torn-*, *.damaged*) may still hold "
            "what was deleted: remove them if so"
        )
    return text


def _shown(report: Any) -> None:
    text = f"{report.step}: {report.compacted} of {report.logs} files rewritten"
    print(f"{_CLEAR_LINE}{text}", end="", file=sys.stderr, flush=True)


def _ignored(_report: Any) -> None:
    """Show nothing where nobody looks on."""


def _fail(code: Exit, reason: str) -> Exit:
    print(f"ragen-actor: {reason}", file=sys.stderr)
    return code
