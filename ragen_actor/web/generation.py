"""What the gate passes on to the upstream, and by what right."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from ragen_actor.token_bucket import Taken, TokenBuckets, rate_limit_headers
from ragen_actor.upstream import METHODS, Ours, Relayed, Upstream
from ragen_actor.web.answer import ALWAYS, DEFAULTS
from ragen_actor.web.body import Bodies
from ragen_actor.web.routes import WrongMethod


class Generation:
    """The paths that are not ours to answer.

    Attributes:
        buckets: The tokens of each key for these paths, apart from those for all others.

    Args:
        upstream: Who answers.
        buckets: See above.
        bodies: Who reads bodies.
        bytes_max: Of one body.
    """

    def __init__(
        self, upstream: Upstream, *, buckets: TokenBuckets, bodies: Bodies, bytes_max: int
    ) -> None:
        self.buckets = buckets
        self._upstream = upstream
        self._bodies = bodies
        self._bytes_max = bytes_max

    def find(self, method: str, path: str) -> str | None:
        """Return what of a path is the upstream's; None if nothing.

        Raises:
            WrongMethod: No resource of the API has this method.
        """
        tail = self._upstream.tail(path)
        if tail is not None and method not in METHODS:
            raise WrongMethod(method, path, METHODS)
        return tail

    async def pass_on(
        self,
        request: web.BaseRequest,
        tail: str,
        query: str,
        *,
        request_id: str,
        taken: Taken,
        cors: Mapping[str, str],
    ) -> Relayed:
        """Pass a request on, and its answer back.

        Raises:
            RagenError: Nothing of an answer was written; this is what to tell the client.
        """
        body = self._bodies.pieces(request, self._bytes_max)
        always = {**cors, **ALWAYS}
        ours = Ours(request_id, always, DEFAULTS, rate_limit_headers(taken))
        return await self._upstream.pass_on(request, tail, query, body, ours)
