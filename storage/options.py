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
        pending_bytes_max: Lines on their way to the disk; a write beyond that is refused.
        checkpoint_seconds: After which a segment's files are made durable though it is not full.
        dirty_files_max: Files after whose first writes the same happens.
        sync_slow_seconds: A sync that takes longer is logged.
        compact_dead_ratio: Of a log's bytes that must be dead before it is rewritten.
        compact_dead_bytes: That must be dead before it is worth the while.
        reap_seconds: After which the file of a deleted thread is removed; longer than a copy takes.
        reap_files_per_second: Removed at most, so that a large clean-up slows nobody down.
        open_files_max: Descriptors kept open for reuse, those that must be open among them.
    """

    data_dir: Path
    journal_segment_bytes: int = 16 * 1024 * 1024
    disk_reserve_bytes: int = 64 * 1024 * 1024
    pending_bytes_max: int = 64 * 1024 * 1024
    checkpoint_seconds: float = 30.0
    dirty_files_max: int = 4096
    sync_slow_seconds: float = 1.0
    compact_dead_ratio: float = 0.5
    compact_dead_bytes: int = 1024 * 1024
    reap_seconds: float = 86_400.0
    reap_files_per_second: int = 100
    open_files_max: int = 4096
