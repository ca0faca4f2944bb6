"""How often an address may try to sign in.

Keys are far too long to be guessed; this keeps guessing from costing the server anything. All that
is kept of an address is when its next attempts are free, and of addresses a bounded number.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

ADDRESSES_MAX = 4096
WINDOW_SECONDS = 60.0
_NETWORK_BITS = 64


class Attempts:
    """Counts attempts to sign in.

    Args:
        per_minute: Attempts of one address in a minute; as many at once after a minute's rest.
    """

    def __init__(self, per_minute: int) -> None:
        self._interval = WINDOW_SECONDS / per_minute
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Count the addresses in memory."""
        return len(self._full_at)

    def take(self, address: str, now: float) -> float:
        """Count one attempt; return the seconds to wait instead, 0.0 if it may be made.

        Args:
            address: Who tries; all addresses of an IPv6 network of 64 bits count as one.
            now: Seconds of a clock that never goes back.
        """
        name = _network(address)
        until_full = max(self._full_at.get(name, now) - now, 0.0) + self._interval
        if until_full > WINDOW_SECONDS + 1e-6:
            return until_full - WINDOW_SECONDS
        self._full_at[name] = now + until_full
        self._full_at.move_to_end(name)
        if len(self._full_at) > ADDRESSES_MAX:
            self._full_at.popitem(last=False)
        return 0.0

    def forgive(self, address: str) -> None:
        """Forget an address: it has shown a key that is in force."""
        self._full_at.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(int(parsed) >> _NETWORK_BITS)
    return str(parsed)
