"""The upstream's key never leaves this server, not even in an error that repeats it."""

from __future__ import annotations


class Mask:
    """Puts asterisks in the place of a secret in a stream, however it is cut into pieces.

    The length stays the same, so what was said about it stays true. Only bytes that may be the
    beginning of the secret are held back, until the next piece tells.

    Args:
        secret: Bytes; empty masks nothing.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._stars = b"*" * len(secret)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what may be passed on once this piece has come."""
        if not self._secret:
            return piece
        known = (self._held + piece).replace(self._secret, self._stars)
        kept = next(
            (
                length
                for length in range(min(len(self._secret) - 1, len(known)), 0, -1)
                if known.endswith(self._secret[:length])
            ),
            0,
        )
        self._held = known[len(known) - kept :]
        return known[: len(known) - kept]

    def rest(self) -> bytes:
        """Return what was held back: it was not the secret after all."""
        held, self._held = self._held, b""
        return held


def masked(text: str, secret: str) -> str:
    """Return a text for the log: one line, bounded, without the secret."""
    if secret:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:300]
