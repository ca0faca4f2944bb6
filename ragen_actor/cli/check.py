"""`ragen-actor check`: whether everything in a data directory still reads as it was written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TextIO

from ragen_actor.cli.exit_codes import Exit
from ragen_actor.config import Config, ConfigError

_CLEAR_LINE = "\r\x1b[K"


def check(_arguments: argparse.Namespace, config: Config) -> Exit:
    """Print each damage; the exit code says whether there was any."""
    from storage.check import check as damages  # Reads everything, and only this command needs it.

    data_dir = config.storage.data_dir
    if not data_dir.is_dir():
        raise ConfigError(f"{data_dir}: there is no such data directory; name it with --data-dir")
    on_terminal = sys.stderr.isatty()
    found = 0
    for damage in damages(data_dir, progress(sys.stderr) if on_terminal else _ignore):
        if on_terminal:
            print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)
        hint = f"; {damage.hint}" if damage.hint else ""
        print(f"{damage.path}:{damage.offset}: {damage.reason}{hint}", flush=True)
        found += 1
    if on_terminal:
        print(_CLEAR_LINE, end="", file=sys.stderr)
    verdict = f"{found} damaged" if found else "nothing is damaged"
    print(f"{data_dir}: {verdict}", file=sys.stderr)
    return Exit.FAILED if found else Exit.FINE


def progress(terminal: TextIO) -> Callable[[int, int], None]:
    """Return what shows how far in bytes the check is, writing at most once for each percent."""
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // total if total else 100
        if percent != shown:
            shown = percent
            print(
                f"{_CLEAR_LINE}checked {done:,} of {total:,} bytes ({percent} %)",
                end="",
                file=terminal,
            )
            terminal.flush()

    return show


def _ignore(_done: int, _total: int) -> None:
    """Show nothing: progress in a log file would hide what matters there."""
