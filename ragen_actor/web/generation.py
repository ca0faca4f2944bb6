"""What the gate passes on to the upstream, and by what right."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiohttp import web

from ragen_actor.settings import DEFAULT_TIER, Config
from ragen_actor.token_bucket import TokenBuckets, rate_limit_headers
from ragen_actor.upstream import METHODS, Ours, Relayed, Upstream, api_key, warnings
from ragen_actor.web.answer import ALWAYS, DEFAULTS
from ragen_actor.web.body import Bodies
from ragen_actor.web.exchange import Exchange
from ragen_actor.web.routes import WrongMethod

log = logging.getLogger(__name__)


class Generation:
    """The paths that are not ours to answer.

    Attributes:
        buckets: The tokens of each key for these paths, apart from those for all others.
        upstream: Who answers.

    Args:
        config: All settings.
        environ: Environment variables, for the upstream's key.
        bodies: Who reads bodies.
        connections_max: Clients served at once. Half of them at most may wait for the upstream,
            so that there is room for those who want threads.

    Raises:
        ConfigError: The upstream's key is missing.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], bodies: Bodies, connections_max: int
    ) -> None:
        rates = config.generation_tiers
        self.buckets = TokenBuckets(
            {tier: rates.get(tier, rates[DEFAULT_TIER]) for tier in config.tiers}
        )
        self.upstream = Upstream(
            config.upstream,
            api_key(config.upstream.api_key_env, environ),
            requests_max=min(config.upstream.connections_max, max(1, connections_max // 2)),
        )
        self._bodies = bodies
        self._bytes_max = config.upstream.body_bytes_max
        for warning in warnings(config.upstream):
            log.warning("%s", warning)

    def find(self, method: str, path: str) -> str | None:
        """Return what of a path is the upstream's; None if nothing.

        Raises:
            WrongMethod: No resource of the API has this method.
        """
        tail = self.upstream.tail(path)
        if tail is not None and method not in METHODS:
            raise WrongMethod(method, path, METHODS)
        return tail

    async def pass_on(
        self, request: web.BaseRequest, exchange: Exchange, cors: Mapping[str, str]
    ) -> Relayed:
        """Pass a request on, and its answer back.

        Args:
            request: As the framework has it.
            exchange: The same, let in.
            cors: Header fields for the page that asks.

        Raises:
            RagenError: Nothing of an answer was written; this is what to tell the client.
        """
        assert exchange.tail is not None and exchange.taken is not None
        body = self._bodies.pieces(request, self._bytes_max)
        limits = rate_limit_headers(exchange.taken)
        ours = Ours(exchange.id, {**cors, **ALWAYS}, DEFAULTS, limits)
        return await self.upstream.pass_on(request, exchange.tail, exchange.query, body, ours)
