"""Calls from web pages of other origins: an opt-in, as pages then use the keys they hold."""

from __future__ import annotations

from collections.abc import Collection

from ragen_actor.web.exchange import Fields

_REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "idempotency-key",
)
_STAINLESS = "x-stainless-"
"""What the official clients tell of themselves comes in headers that begin so."""

_EXPOSED = (
    "x-request-id, openai-processing-ms, openai-version, retry-after, retry-after-ms, "
    "x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests"
)
_PREFLIGHT_SECONDS = "600"


class Cors:
    """Which origins may call, and how that is said.

    Args:
        origins: As browsers send them; `*` for all, nothing for none.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    @property
    def is_on(self) -> bool:
        """Tell whether pages may call at all."""
        return bool(self._origins)

    def headers(self, fields: Fields) -> dict[str, str]:
        """Return what an answer needs for the page that asked to read it; empty if it may not."""
        if not self._origins:
            return {}
        origin = fields.get("origin", "")
        if "*" in self._origins:
            return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }

    def preflight(self, fields: Fields) -> dict[str, str]:
        """Return the headers that answer a browser's question first.

        Source: Fetch standard, CORS-preflight request.
        """
        wishes = fields.get("access-control-request-headers", "")
        stainless = [
            name
            for name in (wish.strip().lower() for wish in wishes.split(","))
            if name.startswith(_STAINLESS) and name.replace("-", "").isalnum() and name.isascii()
        ]
        return {
            **self.headers(fields),
            "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
            "Access-Control-Allow-Headers": ", ".join((*_REQUEST_HEADERS, *stainless)),
            "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
        }
