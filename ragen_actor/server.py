"""The running server: storage, actors and HTTP together, from the first lock to the last sync."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine

import uvloop
from aiohttp import web

from ragen_actor import open_files
from ragen_actor.actors import Limits, Registry
from ragen_actor.actors.sweep import Report, sweep
from ragen_actor.control import REPORT_SECONDS, Control
from ragen_actor.dashboard import Dashboard
from ragen_actor.entropy import Entropy
from ragen_actor.keyring import KEYS_FILE, Keyring
from ragen_actor.settings import Config
from ragen_actor.token_bucket import TokenBuckets
from ragen_actor.vault import MasterKeys, Vault
from ragen_actor.vault.rewrap import RewrapReport, rewrap
from ragen_actor.web.access import AccessLog
from ragen_actor.web.body import Bodies
from ragen_actor.web.call import Api
from ragen_actor.web.connections import ApiServer
from ragen_actor.web.cors import Cors
from ragen_actor.web.gate import Gate
from ragen_actor.web.generation import Generation
from storage import Storage

log = logging.getLogger(__name__)

_YOUNG_OBJECTS = 10_000
"""Objects made before the collector looks for cycles among them: requests make none."""
KEYRING_LOOK_SECONDS = 0.5
"""How soon a new or a revoked key takes effect."""

_BACKLOG = 512


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
    report = Report()

    async def work(storage: Storage, registry: Registry) -> None:
        # What the first start of a copy removed counts: no later sweep will find it.
        report.removed = storage.recovered.removed
        await sweep(storage, registry, report, now=now)

    uvloop.run(_alone(config, work, lambda: show(report)))
    return report


def rewrap_alone(config: Config, *, show: Callable[[RewrapReport], None]) -> RewrapReport:
    """Move the encrypted threads of a data directory that no server has to the new master key.

    Args:
        config: All settings.
        show: Called every half second with how far it is.

    Raises:
        DataDirInUse: A server has it.
        ConfigError: A master key file cannot be used.
        RagenError: There is no master key, or it cannot be reached.
        StorageError: The data directory cannot be used.
        OSError: The disk fails.
    """
    report = RewrapReport()
    keys = MasterKeys(config)

    async def work(_: Storage, registry: Registry) -> None:
        try:
            await rewrap(registry, keys.data_keys, report)
        finally:
            await keys.close()

    uvloop.run(_alone(config, work, lambda: show(report)))
    return report


async def _alone(
    config: Config,
    begin: Callable[[Storage, Registry], Coroutine[None, None, None]],
    show: Callable[[], None],
) -> None:
    storage = await Storage.open(open_files.storage_options(config))
    try:
        registry = _registry(config, storage)
        work = asyncio.create_task(begin(storage, registry))
        try:
            while not work.done():
                show()
                await asyncio.wait({work}, timeout=REPORT_SECONDS)
            await work
        finally:
            work.cancel()
            await registry.close()
    finally:
        await storage.close()


async def _serve(config: Config, announce: Callable[[str], None]) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections_max = open_files.connections_max(config)
    keys = MasterKeys(config)
    storage = await Storage.take(open_files.storage_options(config, connections_max))
    try:
        keyring = Keyring(config.storage.data_dir / KEYS_FILE)
        keyring.load()
        await keys.start()
        gate = _gate(config, keyring, connections_max)
        dashboard = Dashboard(config, keyring=keyring, buckets=gate.buckets, bodies=gate.bodies)
        if config.dashboard.is_served_on(config.server.host):
            gate.dashboard = dashboard.handle
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
        await keys.close()
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
        dashboard.open(registry, Vault(registry, keys.data_keys))
        _settle_the_collector()
        log.info(
            "ready after %.3f s; %d batches of the last run were done again",
            time.monotonic() - started,
            storage.recovered.batches,
        )
        watching = asyncio.create_task(_watch(keyring), name="keyring")
        control = Control(config.storage.data_dir, storage, registry, keys.data_keys)
        await control.start()
        await stop.wait()
        log.info("stopping: what was accepted is answered first")
        gate.draining = True
        registry.watchers.end()
        api_server.stop_by = loop.time() + config.server.shutdown_seconds
        watching.cancel()
        await control.stop()
        await site.stop()
        left = api_server.stop_by - loop.time()
        await asyncio.gather(_drain(registry, left), gate.generation.upstream.stop(left))
    finally:
        await runner.cleanup()
        await gate.generation.upstream.stop(0.0)
        await keys.close()
        await storage.close()
    log.info("stopped")
    return 0


def _settle_the_collector() -> None:
    """Keep what the start has made, which stays, out of every later look for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)


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


def _gate(config: Config, keyring: Keyring, connections_max: int) -> Gate:
    server = config.server
    bodies = Bodies(
        bytes_max=server.body_bytes_max,
        all_bytes_max=server.bodies_bytes_max,
        seconds_max=server.body_seconds_max,
    )
    return Gate(
        keyring=keyring,
        buckets=TokenBuckets(config.tiers),
        bodies=bodies,
        generation=Generation(config, os.environ, bodies, connections_max),
        cors=Cors(server.cors_origins),
        access_log=AccessLog(server.proxy_networks()) if server.access_log else None,
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
            page_bytes_max=config.storage.page_bytes_max,
        ),
        clock=time.time,
        random=Entropy().bits,
    )


def _base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
