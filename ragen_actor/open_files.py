"""The limit of open files, shared out between clients and storage."""

from __future__ import annotations

import logging
import resource

from ragen_actor.settings import Config
from storage import Options

log = logging.getLogger(__name__)

_RESERVED = 128
_DIRTY_FILES_FEW = 512
_OPENED_AT_ONCE = 1024
"""What a batch and the readers may open before the least used are closed."""


def connections_max(config: Config) -> int:
    """Return how many clients may be served at once, so that storage can always open its files."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = config.server.connections_max
    # Those that wait are open too, and at least as much is kept for storage.
    possible = max(1, (allowed - _RESERVED) // 4)
    if possible < wanted:
        log.warning(
            "the limit of open files is %d: %d connections are served at once, not %d "
            "(raise it with ulimit)",
            allowed,
            possible,
            wanted,
        )
    return min(wanted, possible)


def storage_options(config: Config, connections: int = 0) -> Options:
    """Fit what storage keeps open to what the process may have open.

    Args:
        config: All settings.
        connections: Clients served at once.
    """
    settings = config.storage
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # Of those served, half may each have a connection to the upstream too.
    budget = allowed - 2 * connections - connections // 2 - _RESERVED
    # Each of the four segments may hold as many files open as one checkpoint syncs.
    dirty_files_max = min(settings.dirty_files_max, budget // 6)
    if dirty_files_max < settings.dirty_files_max:
        level = logging.WARNING if dirty_files_max < _DIRTY_FILES_FEW else logging.DEBUG
        log.log(
            level,
            "the limit of open files is %d: checkpoints come after %d files (raise it with ulimit)",
            allowed,
            dirty_files_max,
        )
    return Options(
        data_dir=settings.data_dir,
        journal_segment_bytes=settings.journal_segment_bytes,
        disk_reserve_bytes=settings.disk_reserve_bytes,
        pending_bytes_max=config.actors.pending_bytes_max,
        checkpoint_seconds=settings.checkpoint_seconds,
        dirty_files_max=dirty_files_max,
        sync_slow_seconds=settings.sync_slow_seconds,
        compact_dead_ratio=settings.compact_dead_ratio,
        compact_dead_bytes=settings.compact_dead_bytes,
        reap_seconds=settings.reap_seconds,
        reap_files_per_second=settings.reap_files_per_second,
        # The dirty ones are among them. A thread whose file is still open costs nothing to open.
        open_files_max=min(16384, max(budget // 3, budget - _OPENED_AT_ONCE)),
    )
