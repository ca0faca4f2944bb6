"""What an operator may set about storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one data directory.

    Attributes:
        data_dir: Where everything lies.
        journal_segment_bytes: Of each of the journal's four segments; set when they are made.
        disk_reserve_bytes: Left free on the file system; a write that would take of it is refused.
        checkpoint_seconds: After which a segment's files are made durable though it is not full.
        dirty_files_max: Files after whose first writes the same happens.
        sync_slow_seconds: A sync that takes longer is logged.
        open_files_max: Descriptors kept open for reuse, beyond those that must be.
    """

    data_dir: Path
    journal_segment_bytes: int = 16 * 1024 * 1024
    disk_reserve_bytes: int = 64 * 1024 * 1024
    checkpoint_seconds: float = 30.0
    dirty_files_max: int = 4096
    sync_slow_seconds: float = 1.0
    open_files_max: int = 4096
