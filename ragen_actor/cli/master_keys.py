"""`ragen-actor master-key create` and `ragen-actor rewrap`: the keys of encrypted threads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ragen_actor.cli import errand
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.config import Config


def create(arguments: argparse.Namespace, config: Config) -> Exit:
    """Make a master key in a file of its own, and print its id."""
    from ragen_actor.vault import master_key_file  # Brings the cryptography along.

    file: Path = arguments.file
    key_id = master_key_file.create(file, config.storage.data_dir)
    print(key_id)
    print(
        f"\nThe key is in {file}. Name it first in the configuration and restart the server:\n\n"
        f'  [vault]\n  master_key_files = ["{file.absolute()}"]\n\n'
        "Keep a copy of it apart from the data and its backups: without it no encrypted thread\n"
        "can ever be read again.",
        file=sys.stderr,
    )
    return Exit.FINE


def rewrap(arguments: argparse.Namespace, config: Config) -> Exit:
    """Have every encrypted thread moved to the new master key, or do it."""
    from ragen_actor.server import rewrap_alone  # Takes longest to import.
    from ragen_actor.vault.rewrap import RewrapReport

    report = errand.done(
        config,
        lambda show: rewrap_alone(config, show=show),
        "/rewrap",
        {},
        RewrapReport,
        lambda report: f"{report.threads} threads: {report.moved} of {report.encrypted} moved",
    )
    if isinstance(report, Exit):
        return report
    print(
        f"{config.storage.data_dir}: {report.moved} of {report.encrypted} encrypted threads moved "
        f"to the master key {report.master}"
    )
    if report.failed:
        return errand.fail(
            Exit.FAILED,
            f"{report.failed} threads could not be moved: the log says why; "
            "keep their master key, and run this again",
        )
    return Exit.FINE
