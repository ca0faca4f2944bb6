"""All encrypted threads moved to the master key that wraps new ones: the way to change it.

Only the wrapping of each thread's data key is made anew, in one durable line of the catalogue;
messages stay as they are. A thread that has moved is passed over, so a run that was interrupted, by
whatever, is begun again and goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from msgspec import Struct

from ragen_actor import schema
from ragen_actor.actors import Registry
from ragen_actor.actors.sealed import GetSealedThread, ListSealedThreads, ReplaceKey, read_page
from ragen_actor.errors import RagenError, ThreadNotFound
from ragen_actor.vault.data_keys import DataKeys
from ragen_actor.vault.errors import (
    EncryptionOff,
    MasterKeyMissing,
    MasterKeyRefused,
    MasterKeyUnavailable,
)

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Threads in hand: each may wait for a key management service."""
_TRIES_MAX = 5
_PAGE = 100


class RewrapReport(Struct):
    """How far the work has come.

    Attributes:
        master: The id of the master key that all are moved to.
        threads: Threads looked at.
        encrypted: Those that are encrypted.
        moved: Those whose key was wrapped anew.
        failed: Those whose key could not be; the log says why.
    """

    master: str = ""
    threads: int = 0
    encrypted: int = 0
    moved: int = 0
    failed: int = 0


async def rewrap(registry: Registry, keys: DataKeys, report: RewrapReport) -> None:
    """Move every encrypted thread to the master key that wraps new ones.

    Args:
        registry: The owners of the threads.
        keys: The threads' data keys.
        report: Kept up to date.

    Raises:
        EncryptionOff: There is no master key to move them to.
        MasterKeyUnavailable: A master key cannot be reached; what was done stays done.
        MasterKeyRefused: The new master key may not be used.
        MasterKeyMissing: There is no such key as the new one.
        RagenError: The server stops, or a catalogue cannot be read.
    """
    if keys.wraps_with is None:
        raise EncryptionOff
    report.master = keys.wraps_with
    in_hand: list[tuple[str, str, bytes]] = []
    async for each in _encrypted(registry, report):
        in_hand.append(each)
        if len(in_hand) == _AT_ONCE:
            await _move_all(registry, keys, report, in_hand)
            in_hand = []
    await _move_all(registry, keys, report, in_hand)
    log.info(
        "rewrap: %d of %d encrypted threads moved to %s, %d failed",
        report.moved,
        report.encrypted,
        report.master,
        report.failed,
    )


async def _encrypted(
    registry: Registry, report: RewrapReport
) -> AsyncIterator[tuple[str, str, bytes]]:
    """Yield organisation, id and stored key of every encrypted thread, oldest first."""
    for org in await registry.organisations():
        after: str | None = None
        more = True
        while more:
            query = schema.ListQuery(limit=_PAGE, order="asc", after=after)
            page = read_page(await registry.ask_catalog(org, ListSealedThreads(query)))
            for data, stored in zip(page.objects, page.sealed, strict=True):
                after = schema.decode_thread(data).id
                report.threads += 1
                if stored:
                    report.encrypted += 1
                    yield org, after, stored
            more = page.has_more


async def _move_all(
    registry: Registry,
    keys: DataKeys,
    report: RewrapReport,
    threads: list[tuple[str, str, bytes]],
) -> None:
    outcomes = await asyncio.gather(
        *[_move(registry, keys, *each) for each in threads], return_exceptions=True
    )
    for (_, thread_id, _), outcome in zip(threads, outcomes, strict=True):
        if isinstance(outcome, bool):
            report.moved += outcome
        elif isinstance(outcome, RagenError) and not _ends_it(outcome, registry, keys):
            log.error("%s was not rewrapped: %s", thread_id, outcome.message)
            report.failed += 1
        else:
            raise outcome


def _ends_it(error: RagenError, registry: Registry, keys: DataKeys) -> bool:
    """Tell whether what befell one thread would befall all others."""
    if isinstance(error, MasterKeyRefused | MasterKeyMissing):
        return error.key_id == keys.wraps_with
    return registry.is_closing or isinstance(error, MasterKeyUnavailable)


async def _move(
    registry: Registry, keys: DataKeys, org: str, thread_id: str, stored: bytes
) -> bool:
    """Move one thread; tell whether there was anything to do."""
    for _ in range(_TRIES_MAX):
        try:
            moved = await _patiently(keys, org, stored)
            if moved is None:
                return False
            done = await registry.ask_in_passing(org, thread_id, ReplaceKey(stored, moved))
            if done == b"true":
                return True
            # Somebody else has moved it meanwhile.
            answer = await registry.ask_catalog(org, GetSealedThread(thread_id))
            stored = read_page(answer).sealed[0]
        except ThreadNotFound:
            return False
    return False


async def _patiently(keys: DataKeys, org: str, stored: bytes) -> bytes | None:
    for _ in range(_TRIES_MAX - 1):
        try:
            return await keys.rewrapped(org, stored)
        except MasterKeyUnavailable as error:
            await asyncio.sleep(error.retry_after_ms / 1000)
    return await keys.rewrapped(org, stored)
