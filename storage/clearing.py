"""Old batches are cleared out of the journal, so that what was deleted stands nowhere any more.

A segment keeps the bytes of its last use until the next one writes over them. Where a deletion must
be gone at once, each segment is held while it is free, written full of zeros, and let go. Writes go
on in the others meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial

from storage.committer import Committer
from storage.errors import WriteRefused
from storage.journal import Journal
from storage.segment_file import SEGMENTS, segment_path

TRIES_MAX = 16
"""How often a segment may prove to be in use again after the checkpoint that freed it."""


async def clear(
    journal: Journal,
    committer: Committer,
    checkpoint: Callable[[], Awaitable[None]],
    executor: Executor,
) -> None:
    """Overwrite every batch that was written before the call; in the event loop.

    Args:
        journal: What is cleared.
        committer: Its only writer.
        checkpoint: Frees every segment that was in use when it was called.
        executor: Where waiting for the disk does no harm.

    Raises:
        WriteRefused: Writes came so fast that a segment was never free.
        OSError: The disk fails; batches may be left.
    """
    loop = asyncio.get_running_loop()
    for number in range(SEGMENTS):
        try:
            for _ in range(TRIES_MAX):
                await committer.alone(partial(journal.hold, number))
                if journal.is_held(number):
                    break
                await checkpoint()
            else:
                raise WriteRefused("the segment is always in use", path=segment_path(number))
            await loop.run_in_executor(executor, journal.clear, number)
        finally:
            journal.let_go(number)
            committer.kick()
