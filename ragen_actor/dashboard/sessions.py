"""Who is signed in: a table in memory, by the hash of what the browser holds.

A session stands for an API key and holds its hash, never the key. It ends when it was not used for
a while, at its greatest age, at sign-out, when its key is revoked, and when the server stops.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from ragen_actor.keyring import Key, Keyring

TOKEN_BYTES = 32


@dataclass(slots=True)
class Session:
    """One browser that signed in.

    Attributes:
        key: The API key it stands for, without the key itself.
        csrf: What a page of it sends back with every change, 64 hexadecimal digits.
        began: Seconds on the clock of `Sessions`.
        used: When it was last asked for, likewise.
        signed_out: Whether somebody ended it; a stream of events that is still open looks here.
    """

    key: Key
    csrf: str
    began: float
    used: float
    signed_out: bool = False


class Sessions:
    """All of them, bounded: beyond the bound the one unused for longest ends.

    Args:
        keyring: Tells whether a session's key is still in force.
        sessions_max: Sessions at once.
        idle_seconds: Without a request, until a session ends.
        seconds_max: Of a session's life.
        clock: Seconds, never going back.
        random: Returns that many random bytes.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        sessions_max: int,
        idle_seconds: float,
        seconds_max: float,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._keyring = keyring
        self._sessions_max = sessions_max
        self._idle_seconds = idle_seconds
        self._seconds_max = seconds_max
        self._clock = clock
        self._random = random
        self._by_digest: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        """Count what is in memory; some of it may have ended."""
        return len(self._by_digest)

    def begin(self, key: Key) -> str:
        """Begin a session; return the token that its browser shows from now on."""
        now = self._clock()
        token = self._random(TOKEN_BYTES).hex()
        session = Session(key, self._random(TOKEN_BYTES).hex(), now, now)
        self._by_digest[_digest(token)] = session
        if len(self._by_digest) > self._sessions_max:
            self._by_digest.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, used now; None for one that never was or has ended."""
        digest = _digest(token)
        session = self._by_digest.get(digest)
        if session is None:
            return None
        if not self.is_live(session):
            del self._by_digest[digest]
            return None
        session.used = self._clock()
        self._by_digest.move_to_end(digest)
        return session

    def is_live(self, session: Session) -> bool:
        """Tell whether a session has not ended; that is no use of it."""
        now = self._clock()
        key = self._keyring.in_force(session.key.hash)
        return (
            key is not None
            and now - session.used <= self._idle_seconds
            and now - session.began <= self._seconds_max
            and not session.signed_out
        )

    def end(self, token: str) -> None:
        """Sign out."""
        session = self._by_digest.pop(_digest(token), None)
        if session is not None:
            session.signed_out = True


def _digest(token: str) -> str:
    # What lies in memory opens nothing, and comparing it tells no time about a token.
    return sha256(token.encode("utf-8", "replace")).hexdigest()
