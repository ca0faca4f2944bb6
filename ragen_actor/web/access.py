"""The access log: off unless asked for, a line for each request, without query, key or content."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

from ragen_actor.web.exchange import Exchange

log = logging.getLogger("ragen_actor.access")


class AccessLog:
    """Writes a line for each request.

    Args:
        proxies: Networks whose word about a client's address is believed.
    """

    def __init__(self, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._proxies = proxies

    def write(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Write one."""
        key, path = exchange.key, exchange.path
        log.info(
            '%s %s "%s %s" %d %.1fms %s',
            self.client(exchange.peer, exchange.fields.getall("x-forwarded-for", ())),
            f"{key.org}/{key.project}" if key else "-",
            exchange.method,
            path if path.isprintable() else ascii(path),
            status,
            seconds * 1000,
            exchange.id,
        )

    def client(self, peer: str | None, forwarded: Sequence[str]) -> str:
        """Return the address of who asks: the nearest one that no trusted proxy stands behind.

        Args:
            peer: The other end of the connection.
            forwarded: The values of X-Forwarded-For, whose last address the nearest proxy added.
        """
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        nearest = peer or "-"
        while hops and self._is_trusted(nearest):
            nearest = hops.pop()
        return nearest if nearest.isprintable() and len(nearest) < 64 else "-"

    def came_by_tls(self, request: web.BaseRequest) -> bool:
        """Tell whether the client's own connection is encrypted, here or at a trusted proxy."""
        if request.secure:
            return True
        said = request.headers.getall("X-Forwarded-Proto", [""])
        return said[-1].strip() == "https" and self._is_trusted(request.remote or "")

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)
