"""`ragen-actor compact`: what was deleted leaves the disk, with or without a server."""

from __future__ import annotations

import argparse
from typing import Any

from ragen_actor.cli import errand
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.config import Config


def compact(arguments: argparse.Namespace, config: Config) -> Exit:
    """Have it done by the server that has the data directory, or do it."""
    from ragen_actor.actors.sweep import Report
    from ragen_actor.server import compact_alone  # Takes longest to import.

    now = arguments.now
    report = errand.done(
        config,
        lambda show: compact_alone(config, now=now, show=show),
        "/compact",
        {"now": now},
        Report,
        lambda report: f"{report.step}: {report.compacted} of {report.logs} files rewritten",
    )
    if isinstance(report, Exit):
        return report
    print(f"{config.storage.data_dir}: {_summary(report, now=now)}")
    if report.failed:
        return errand.fail(
            Exit.FAILED,
            f"{report.failed} files could not be rewritten: the log says why, and "
            "`ragen-actor check` what is damaged",
        )
    return Exit.FINE


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
