"""`ragen-actor check`: whether everything in a data directory still reads as it was written.

With `--repair` it is made so, as far as it can be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TextIO

from ragen_actor import schema
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.cli.serve import FIRST_PROJECT, set_up_logging
from ragen_actor.config import Config, ConfigError
from ragen_actor.key_repair import repair_keys
from ragen_actor.keyring import KEYS_FILE, Keyring

_CLEAR_LINE = "\r\x1b[K"


def check(arguments: argparse.Namespace, config: Config) -> Exit:
    """Print each damage, after the repair if one is asked for; the exit code says whether any is.

    A repair prints what it does.
    """
    from storage.check import check as damages  # Reads everything, and only this command needs it.

    data_dir = config.storage.data_dir
    if not data_dir.is_dir():
        raise ConfigError(f"{data_dir}: there is no such data directory; name it with --data-dir")
    if arguments.repair:
        repair(config)
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


def repair(config: Config) -> None:
    """Keep all that is readable and lay the rest aside; print what is done.

    Raises:
        DataDirInUse: A server runs on the directory.
    """
    from storage.repair import repair as deeds

    data_dir = config.storage.data_dir
    set_up_logging("warning")
    done = 0
    for deed in chain(
        deeds(
            data_dir,
            journal_segment_bytes=config.storage.journal_segment_bytes,
            new_entry=_entries(data_dir / KEYS_FILE),
            now=time.time(),
        ),
        repair_keys(data_dir, time.time()),
    ):
        print(f"{deed.path}:{deed.offset}: {deed.text}", flush=True)
        done += 1
    verdict = f"{done} repairs were made" if done else "there is nothing to repair"
    print(f"{data_dir}: {verdict}", file=sys.stderr)


def _entries(keys_file: Path) -> Callable[[str, str], bytes]:
    """Return what makes the entry of a thread that lost it: all that its id and the keys tell."""
    keyring = Keyring(keys_file)
    keyring.load()
    oldest_last = reversed(keyring.keys())
    projects = {key.org: key.project for key in oldest_last}

    def entry(org: str, thread_id: str) -> bytes:
        ms = (schema.thread_key(thread_id) or 0) >> 16
        assistant_id = f"asst-{projects.get(org, FIRST_PROJECT)}"
        return schema.encode(
            schema.Thread(id=thread_id, created_at=ms // 1000, assistant_id=assistant_id)
        )

    return entry


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
