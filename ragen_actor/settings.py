"""Every setting there is: its unit, its bound, its default and its price.

`config.toml` is the same list for operators. `ragen_actor.config` reads settings from wherever they
stand, and only it enforces the bounds: a Struct made in code is taken at its word.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

DEFAULT_TIER = "default"
UNLIMITED_TIER = "unlimited"

# Labels of 1 to 63 characters, beyond which name resolution itself fails; an address is one too.
HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_:%-]{1,63}(\.[A-Za-z0-9_:%-]{1,63})*\.?$")]
BaseUrl = Annotated[
    str,
    Meta(
        # No user, no query, no fragment: nothing that could hide in it or be sent on by accident.
        pattern=r"^(https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~-]+)*/?)?$",
        description="an address of http or https, or nothing",
    ),
]
VariableName = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="the name of an environment variable, or nothing",
    ),
]
UpstreamPath = Annotated[
    str,
    Meta(
        pattern=r"^(?!threads|assistants)[a-z0-9_-]+(/[a-z0-9_-]+)*$",
        description='a list of paths below /v1, as ["chat/completions"], without threads',
    ),
]
Origin = Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s]+)$")]
KmsKeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9:/_-]{0,2048}$")]
Project = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description='a list of projects, as ["people"]'),
]
TierName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
RequestsPerMinute = Annotated[int, Meta(ge=0, le=1_000_000)]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server listens, and what one client may take of it.

    Attributes:
        host: Address or name to listen on; beyond 127.0.0.1 every key travels unencrypted.
        port: TCP port; 0 takes any free one.
        body_bytes_max: Bytes of one request body, which is held whole while it is parsed.
        bodies_bytes_max: Bytes of all request bodies in memory at once; beyond it 503.
        header_seconds_max: Seconds for a request's head to arrive; slower clients are cut off.
        body_seconds_max: Seconds for a body to arrive; each slow one holds its share of memory.
        keepalive_seconds: Seconds an idle connection stays open; each takes a descriptor.
        connections_max: Connections at once; each takes a descriptor, further ones wait.
        shutdown_seconds: Seconds to answer what is queued when stopping; then it is refused.
        cors_origins: Origins whose web pages may call, or `*`; such a page can use a key it has.
        trusted_proxies: Addresses or networks whose X-Forwarded-For is believed, even if forged.
        access_log: Whether each request is logged; costs CPU time on each.
        messages_per_create_max: Initial messages of one thread; all are committed in one batch.
    """

    host: HostName = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    body_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=8 * MIB)] = 8 * MIB
    bodies_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=TIB)] = 256 * MIB
    header_seconds_max: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    body_seconds_max: Annotated[float, Meta(ge=0.1, le=3600)] = 30.0
    keepalive_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 75.0
    connections_max: Annotated[int, Meta(ge=1, le=65536)] = 1024
    shutdown_seconds: Annotated[float, Meta(ge=0.1, le=600)] = 10.0
    cors_origins: tuple[Origin, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    access_log: bool = False
    messages_per_create_max: Annotated[int, Meta(ge=1, le=900)] = 512

    def proxy_networks(self) -> tuple[Network, ...]:
        """Return `trusted_proxies` as networks; a single address is a network of one.

        Raises:
            ValueError: An entry is neither an address nor a network.
        """
        return tuple(ipaddress.ip_network(proxy) for proxy in self.trusted_proxies)


class Storage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files lie, and how often they are made to last.

    Attributes:
        data_dir: Directory of all files; relative to the working directory.
        journal_segment_bytes: Bytes of each of the four journal files; larger ones make
            checkpoints rarer, recovery longer, and take four times their size on the disk.
        disk_reserve_bytes: Bytes kept free on the file system; below it writes get 503.
        checkpoint_seconds: Seconds until a journal file is settled though it is not full;
            longer saves syncs and makes recovery longer.
        dirty_files_max: Files written to since the last checkpoint; each holds a descriptor.
        page_bytes_max: Bytes of one page of a list; longer ones end early.
        sync_slow_seconds: Seconds of one sync above which a warning is logged.
        compact_dead_ratio: Share of a file that must be deleted or superseded before the file is
            rewritten; less keeps files smaller and rewrites them more often.
        compact_dead_bytes: Bytes that must be so; below it a rewrite is not worth the while.
        reap_seconds: Seconds until the file of a deleted thread is removed; it must be longer
            than copying the data directory takes.
        reap_files_per_second: Files removed per second at most; more makes a clean-up quicker
            and other writes slower.
    """

    data_dir: Path = Path("data")
    journal_segment_bytes: Annotated[int, Meta(ge=128 * KIB, le=GIB, multiple_of=4096)] = 16 * MIB
    disk_reserve_bytes: Annotated[int, Meta(ge=0, le=1024 * TIB)] = 64 * MIB
    checkpoint_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 30.0
    dirty_files_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 4096
    page_bytes_max: Annotated[int, Meta(ge=KIB, le=64 * MIB)] = 8 * MIB
    sync_slow_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 1.0
    compact_dead_ratio: Annotated[float, Meta(ge=0.05, le=1)] = 0.5
    compact_dead_bytes: Annotated[int, Meta(ge=KIB, le=TIB)] = MIB
    reap_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] = 86_400.0
    reap_files_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 100


class Actors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be in memory for the threads in use.

    Attributes:
        mailbox_commands_max: Commands that wait for one thread; beyond it 503.
        idle_seconds: Seconds without a request until a thread leaves memory; its next request
            reads its index again.
        resident_bytes_max: Bytes of the indices of all threads in memory; above it the longest
            unused ones leave early.
        pending_bytes_max: Bytes accepted and not yet committed; beyond it 503.
    """

    mailbox_commands_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    idle_seconds: Annotated[float, Meta(ge=0.01, le=86400)] = 300.0
    resident_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=TIB)] = 256 * MIB
    pending_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=TIB)] = 64 * MIB


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The OpenAI-compatible server that generates, to which requests for it are passed on.

    Attributes:
        base_url: Where it is, as a client of OpenAI's takes it; empty: none, and 501.
        api_key_env: The environment variable that holds its API key; empty: it asks for none.
        paths: What is passed on, each with all that lies below it; all else is 404.
        connections_max: Requests at it at once, half of `Server.connections_max` at most;
            beyond it 503. Each may take half a MiB of memory and a descriptor.
        connect_seconds_max: Seconds for a connection to it to be made; beyond it 504.
        silent_seconds_max: Seconds it may neither take nor send anything; beyond it 504, or the
            end of the answer. A model that thinks is silent too.
        body_bytes_max: Bytes of one request body, which streams through; beyond it 413.
    """

    base_url: BaseUrl = ""
    api_key_env: VariableName = ""
    paths: tuple[UpstreamPath, ...] = (
        "chat/completions",
        "completions",
        "responses",
        "embeddings",
        "models",
        "moderations",
        "files",
        "images",
        "audio",
    )
    connections_max: Annotated[int, Meta(ge=1, le=65536)] = 256
    connect_seconds_max: Annotated[float, Meta(ge=0.1, le=600)] = 10.0
    silent_seconds_max: Annotated[float, Meta(ge=0.1, le=86400)] = 600.0
    body_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=TIB)] = GIB


class Dashboard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pages at /dashboard, on which people read and write threads.

    Attributes:
        enabled: Whether they are served; `auto` serves them on a loopback address only. Beyond
            that, keys and sessions travel as safely as the proxy in front makes them.
        projects: Those whose keys may sign in; empty for all. A key that may sign in reads the
            encrypted threads of its organisation.
        session_idle_seconds: Seconds without a request until one must sign in again.
        session_seconds_max: Seconds after which one must, however busy.
        sessions_max: Sessions at once; one more ends the one unused for longest.
        sign_ins_per_minute: Attempts to sign in from one address; more are turned away.
        reads_per_minute: Pages that all sessions of one key may load; changes take their tokens
            from the key's own tier.
        streams_max: Pages at once that are told of changes, half of them of one organisation; each
            holds a connection.
    """

    enabled: bool | Literal["auto"] = "auto"
    projects: tuple[Project, ...] = ()
    session_idle_seconds: Annotated[float, Meta(ge=1, le=2_592_000)] = 28_800.0
    session_seconds_max: Annotated[float, Meta(ge=1, le=31_536_000)] = 86_400.0
    sessions_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    sign_ins_per_minute: Annotated[int, Meta(ge=1, le=10_000)] = 10
    reads_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 600
    streams_max: Annotated[int, Meta(ge=1, le=65536)] = 256

    def is_served_on(self, host: str) -> bool:
        """Tell whether the dashboard is there when the server listens on this host."""
        if self.enabled != "auto":
            return self.enabled
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host.rstrip(".").lower() == "localhost"


class Vault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The master keys of encrypted threads.

    Attributes:
        kms_key_id: A symmetric key in AWS KMS, by id, ARN or alias; empty for none. The environment
            variable AWS_KMS_KEY_ID says the same.
        master_key_files: Files that `ragen-actor master-key create` made; the first wraps new
            keys, all of them open what they wrapped.
        wrap_with: Which of the two kinds wraps the keys of new threads, where both are set.
        cache_seconds: Seconds an opened key stays in memory; less asks KMS more often, more lets
            a key live longer after KMS would refuse it.
        cache_keys_max: Opened keys in memory; one for each encrypted thread in use saves calls.
    """

    kms_key_id: KmsKeyId = ""
    master_key_files: tuple[Path, ...] = ()
    wrap_with: Literal["kms", "file"] = "kms"
    cache_seconds: Annotated[float, Meta(ge=0, le=86400)] = 300.0
    cache_keys_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to standard error.

    Attributes:
        level: The least severity that is logged; `debug` costs time on every request.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"


def default_tiers() -> dict[str, int]:
    """Return the tiers that always exist, in requests per minute; 0 means no limit."""
    return {DEFAULT_TIER: 20, UNLIMITED_TIER: 0}


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. `Config()` is the built-in defaults.

    Attributes:
        tiers: Requests per minute of each tier that a key can have; 0 means no limit. A key
            whose tier is missing here has `default`.
        generation_tiers: The same for what is passed on to the upstream, which is counted
            apart; a tier that is missing here has the `default` of this table.
    """

    server: Server = Server()
    storage: Storage = Storage()
    actors: Actors = Actors()
    upstream: Upstream = Upstream()
    dashboard: Dashboard = Dashboard()
    vault: Vault = Vault()
    tiers: Mapping[str, int] = msgspec.field(default_factory=default_tiers)
    generation_tiers: Mapping[str, int] = msgspec.field(default_factory=default_tiers)
    log: Log = Log()


SECTIONS: Mapping[str, type[Struct]] = {
    "server": Server,
    "storage": Storage,
    "actors": Actors,
    "upstream": Upstream,
    "dashboard": Dashboard,
    "vault": Vault,
    "log": Log,
}
"""Every section of fixed keys."""

TIER_SECTIONS = ("tiers", "generation_tiers")
"""The sections whose keys the operator chooses: the names of tiers."""
