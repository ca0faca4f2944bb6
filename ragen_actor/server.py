"""The running server: storage, actors and HTTP together, from the first lock to the last sync."""

from __future__ import annotations

import asyncio
import logging
import resource
import secrets
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from ragen_actor.actors import Limits, Registry
from ragen_actor.actors.sweep import Report, sweep
from ragen_actor.control import REPORT_SECONDS, Control
from ragen_actor.keyring import KEYS_FILE, Keyring
from ragen_actor.settings import Config
from ragen_actor.token_bucket import TokenBuckets
from ragen_actor.web.access import AccessLog
from ragen_actor.web.body import Bodies
from ragen_actor.web.call import Api
from ragen_actor.web.connections import ApiServer
from ragen_actor.web.cors import Cors
from ragen_actor.web.gate import Gate
from storage import Options, Storage

if TYPE_CHECKING:
    from ragen_actor.dashboard import Dashboard

log = logging.getLogger(__name__)

KEYRING_LOOK_SECONDS = 0.5
"""How soon a new or a revoked key takes effect."""

_DESCRIPTORS_RESERVED = 128
_BACKLOG = 512
_DIRTY_FILES_FEW = 512


def run(config: Config, announce: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Args:
        config: All settings.
        announce: Called once, on a thread of its own, with the server's address when it listens
            and the data directory is its own; it may make the first key.

    Raises:
        StorageError: The data directory cannot be used.
        OSError: It cannot be read or written, or the address is taken.
    """
    return uvloop.run(_serve(config, announce))


def compact_alone(config: Config, *, now: bool, show: Callable[[Report], None]) -> Report:
    """Compact a data directory that no server has; return what was done.

    Args:
        config: All settings.
        now: All that is dead, not only what is due.
        show: Called every half second with how far it is.

    Raises:
        DataDirInUse: A server has it.
        StorageError: It cannot be used, or the journal could not be cleared.
        OSError: The disk fails.
    """
    return uvloop.run(_compact(config, now, show))


async def _compact(config: Config, now: bool, show: Callable[[Report], None]) -> Report:
    storage = await Storage.open(_options(config))
    try:
        registry = _registry(config, storage)
        report = Report()
        work = asyncio.create_task(sweep(storage, registry, report, now=now))
        try:
            while not work.done():
                show(report)
                await asyncio.wait({work}, timeout=REPORT_SECONDS)
            await work
        finally:
            work.cancel()
            await registry.close()
    finally:
        await storage.close()
    return report


async def _serve(config: Config, announce: Callable[[str], None]) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections_max = _connections_max(config)
    storage = await Storage.take(_options(config, connections_max))
    try:
        keyring = Keyring(config.storage.data_dir / KEYS_FILE)
        keyring.load()
        buckets, bodies = TokenBuckets(config.tiers), _bodies(config)
        gate = _gate(config, keyring, buckets, bodies)
        dashboard = _dashboard(config, keyring, buckets, bodies)
        gate.dashboard = None if dashboard is None else dashboard.handle
        api_server = _api_server(config, gate, connections_max)
        runner = web.ServerRunner(api_server, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(
            runner,
            config.server.host,
            config.server.port,
            shutdown_timeout=config.server.shutdown_seconds,
            backlog=_BACKLOG,
        )
        await site.start()
    except BaseException:
        await storage.close()
        raise
    try:
        base_url = _base_url(config.server.host, runner.addresses[0][1])
        await loop.run_in_executor(None, announce, base_url)
        keyring.refresh()
        started = time.monotonic()
        await storage.start()
        registry = _registry(config, storage)
        gate.api = Api(registry, keyring, config.server.messages_per_create_max)
        if dashboard is not None:
            dashboard.open(config, registry)
        log.info(
            "ready after %.3f s; %d batches of the last run were done again",
            time.monotonic() - started,
            storage.recovered.batches,
        )
        watching = asyncio.create_task(_watch(keyring), name="keyring")
        control = Control(config.storage.data_dir, storage, registry)
        await control.start()
        await stop.wait()
        log.info("stopping: what was accepted is answered first")
        gate.draining = True
        registry.watchers.end()
        api_server.stop_by = loop.time() + config.server.shutdown_seconds
        watching.cancel()
        await control.stop()
        await site.stop()
        await _drain(registry, api_server.stop_by - loop.time())
    finally:
        await runner.cleanup()
        await storage.close()
    log.info("stopped")
    return 0


async def _watch(keyring: Keyring) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(KEYRING_LOOK_SECONDS)
        if await loop.run_in_executor(None, keyring.refresh):
            log.info("the keys were read again")


async def _drain(registry: Registry, seconds_max: float) -> None:
    try:
        async with asyncio.timeout(seconds_max):
            await registry.close()
    except TimeoutError:
        log.warning("some requests had no answer after %g s", seconds_max)


def _connections_max(config: Config) -> int:
    """Return how many clients may be served at once, so that storage can always open its files."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = config.server.connections_max
    # Those that wait are open too, and at least as much is kept for storage.
    possible = max(1, (allowed - _DESCRIPTORS_RESERVED) // 4)
    if possible < wanted:
        log.warning(
            "the limit of open files is %d: %d connections are served at once, not %d "
            "(raise it with ulimit)",
            allowed,
            possible,
            wanted,
        )
    return min(wanted, possible)


def _options(config: Config, connections_max: int = 0) -> Options:
    """Fit what storage keeps open to what the process may have open."""
    settings = config.storage
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    budget = allowed - 2 * connections_max - _DESCRIPTORS_RESERVED
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
        checkpoint_seconds=settings.checkpoint_seconds,
        dirty_files_max=dirty_files_max,
        sync_slow_seconds=settings.sync_slow_seconds,
        compact_dead_ratio=settings.compact_dead_ratio,
        compact_dead_bytes=settings.compact_dead_bytes,
        reap_seconds=settings.reap_seconds,
        reap_files_per_second=settings.reap_files_per_second,
        open_files_max=min(16384, budget // 3),
    )


def _bodies(config: Config) -> Bodies:
    server = config.server
    return Bodies(
        bytes_max=server.body_bytes_max,
        all_bytes_max=server.bodies_bytes_max,
        seconds_max=server.body_seconds_max,
    )


def _gate(config: Config, keyring: Keyring, buckets: TokenBuckets, bodies: Bodies) -> Gate:
    server = config.server
    return Gate(
        keyring=keyring,
        buckets=buckets,
        bodies=bodies,
        cors=Cors(server.cors_origins),
        access_log=AccessLog(server.proxy_networks()) if server.access_log else None,
    )


def _dashboard(
    config: Config, keyring: Keyring, buckets: TokenBuckets, bodies: Bodies
) -> Dashboard | None:
    if not config.dashboard.is_served_on(config.server.host):
        return None
    from ragen_actor.dashboard import Dashboard  # Its templates take longest to import.

    return Dashboard(
        config.dashboard,
        keyring=keyring,
        buckets=buckets,
        bodies=bodies,
        clients=AccessLog(config.server.proxy_networks()),
    )


def _api_server(config: Config, gate: Gate, connections_max: int) -> ApiServer:
    return ApiServer(
        gate,
        connections_max=connections_max,
        header_seconds_max=config.server.header_seconds_max,
        keepalive_seconds=config.server.keepalive_seconds,
        unread_seconds_max=config.server.body_seconds_max,
    )


def _registry(config: Config, storage: Storage) -> Registry:
    actors = config.actors
    return Registry(
        storage,
        Limits(
            mailbox_commands_max=actors.mailbox_commands_max,
            idle_seconds=actors.idle_seconds,
            resident_bytes_max=actors.resident_bytes_max,
            pending_bytes_max=actors.pending_bytes_max,
            page_bytes_max=config.storage.page_bytes_max,
        ),
        clock=time.time,
        random=secrets.randbits,
    )


def _base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
