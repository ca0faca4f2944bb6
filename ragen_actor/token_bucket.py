"""How many requests a key may still send: one token bucket a key, refilled by arithmetic alone.

A bucket of a tier of N requests a minute holds N tokens and gains one every 60/N seconds. All that
is kept of it is the moment at which it will be full again. An absent bucket is a full one, and any
bucket is full after a minute's rest: one not used for a minute is forgotten, and no timer runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import ceil, inf

from msgspec import Struct

from ragen_actor.settings import DEFAULT_TIER

WINDOW_SECONDS = 60.0
"""Limits are counted in requests per minute; this long after its last token a bucket is full."""

# A millisecond is told exactly, whatever the floats beneath it lose: what is missing by less than
# this many seconds is not missing.
_ROUNDING = 1e-6
_WINDOW = WINDOW_SECONDS + _ROUNDING

_log = logging.getLogger(__name__)


class Taken(Struct, frozen=True, gc=False):
    """What became of one request, and what the key has left.

    Attributes:
        allowed: Whether a token was there and was taken.
        limit: Requests per minute; 0 when there is no limit, and then all below is 0 too.
        remaining: Whole tokens left.
        reset_ms: Milliseconds until the bucket is full, rounded up.
        retry_after_ms: Milliseconds until a token is there, rounded up; 0 when allowed.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_ms: int
    retry_after_ms: int = 0


UNLIMITED = Taken(allowed=True, limit=0, remaining=0, reset_ms=0)


class TokenBuckets:
    """The buckets of all keys. Ask only for keys that exist: each one asked for takes memory.

    Every method is a few steps of arithmetic, for the event loop; `now` is seconds of a clock that
    never goes back.
    """

    def __init__(self, tiers: Mapping[str, int]) -> None:
        """Take the tiers: requests per minute by name, 0 for no limit; `default` is among them."""
        self._rates = {
            tier: (limit, WINDOW_SECONDS / limit) if limit else None
            for tier, limit in tiers.items()
        }
        # The moment at which each key's bucket is full. Writes go to the recent ones; what is still
        # among the earlier ones when these are dropped was last used a minute ago or longer.
        self._recent: dict[str, float] = {}
        self._earlier: dict[str, float] = {}
        self._drop_at = -inf

    def __len__(self) -> int:
        """Count what is in memory: at most two for each key used in the last two minutes."""
        return len(self._recent) + len(self._earlier)

    def take(self, key_hash: str, tier: str, now: float) -> Taken:
        """Take one token for one request, if there is one.

        Args:
            key_hash: Names the bucket.
            tier: The key's tier; one that is not configured counts as `default`.
            now: Seconds.
        """
        rate = self._rates[tier] if tier in self._rates else self._missing(tier)
        if rate is None:
            return UNLIMITED
        limit, interval = rate
        if now >= self._drop_at:
            self._drop(now)
        full_at = self._recent.get(key_hash) or self._earlier.get(key_hash, now)
        until_full = full_at - now + interval if full_at > now else interval
        if until_full > _WINDOW:
            wait_ms = ceil((until_full - _WINDOW) * 1000)
            return Taken(False, limit, 0, _milliseconds(full_at - now), wait_ms)
        self._recent[key_hash] = now + until_full
        remaining = int((_WINDOW - until_full) / interval)
        return Taken(True, limit, remaining, _milliseconds(until_full))

    def give_back(self, key_hash: str, tier: str, now: float) -> Taken:
        """Put back the token of a request that costs nothing after all; return what is left."""
        rate = self._rates[tier] if tier in self._rates else self._missing(tier)
        if rate is None:
            return UNLIMITED
        limit, interval = rate
        full_at = self._recent.get(key_hash) or self._earlier.get(key_hash, now)
        until_full = max(full_at - now - interval, 0.0)
        self._recent[key_hash] = now + until_full
        remaining = int((_WINDOW - until_full) / interval)
        return Taken(True, limit, remaining, _milliseconds(until_full))

    def _missing(self, tier: str) -> tuple[int, float] | None:
        """Treat a tier that only a key still names as `default`, saying so once."""
        _log.warning("tier %s is not configured: its keys have the tier %s", tier, DEFAULT_TIER)
        self._rates[tier] = self._rates[DEFAULT_TIER]
        return self._rates[tier]

    def _drop(self, now: float) -> None:
        """Forget the buckets that were last used before the recent ones were begun."""
        self._earlier, self._recent = self._recent, {}
        self._drop_at = now + WINDOW_SECONDS


def _milliseconds(seconds: float) -> int:
    return ceil((seconds - _ROUNDING) * 1000)


def rate_limit_headers(taken: Taken) -> dict[str, str]:
    """Return the headers that tell a client what its key has left; none without a limit.

    A refusal also says when to come back: the official clients read `retry-after-ms` first.

    Source: OpenAI's guide, "Rate limits in headers"; openai-python, `_calculate_retry_timeout`.
    """
    if not taken.limit:
        return {}
    headers = {
        "x-ratelimit-limit-requests": str(taken.limit),
        "x-ratelimit-remaining-requests": str(taken.remaining),
        "x-ratelimit-reset-requests": go_duration(taken.reset_ms),
    }
    if not taken.allowed:
        headers["retry-after"] = str(max(1, ceil(taken.retry_after_ms / 1000)))
        headers["retry-after-ms"] = str(taken.retry_after_ms)
    return headers


def rate_limit_message(taken: Taken) -> str:
    """Word a refusal as OpenAI does: limit, use, and the time after which to try again."""
    return (
        f"Rate limit reached for requests per min (RPM): Limit {taken.limit}, "
        f"Used {taken.limit - taken.remaining}, Requested 1. "
        f"Please try again in {go_duration(taken.retry_after_ms)}."
    )


def go_duration(milliseconds: int) -> str:
    """Write a span of time, not negative, as Go does: `0s`, `6ms`, `8.64s`, `1m0s`, `1h0m0.5s`.

    Source: Go, package time, Duration.String.
    """
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds, rest = divmod(rest, 1000)
    text = f"{seconds}.{rest:03}".rstrip("0") + "s" if rest else f"{seconds}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return text
