"""Whose a request is: the key that its header bears."""

from __future__ import annotations

from ragen_actor.errors import Unauthenticated
from ragen_actor.keyring import Key, Keyring
from ragen_actor.web.exchange import Fields

_MASK_HEAD, _MASK_TAIL, _MASK_MAX = 8, 4, 64


def identify(keyring: Keyring, fields: Fields) -> Key:
    """Return the key that a request bears.

    Raises:
        Unauthenticated: It bears none that is known.
    """
    credentials = fields.get("authorization", "")
    key = keyring.identify(credentials)
    if key is not None:
        return key
    scheme, _, token = credentials.partition(" ")
    token = token.strip()
    if not token or (scheme != "Bearer" and scheme.lower() != "bearer"):
        raise Unauthenticated(
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    key = keyring.find(token)
    if key is None:
        raise Unauthenticated(
            f"Incorrect API key provided: {_masked(token)}.", code="invalid_api_key"
        )
    return key


def _masked(token: str) -> str:
    """Show no more of a key than its owner needs to recognise it."""
    token = "".join(character if character.isprintable() else "?" for character in token)
    hidden = len(token) - _MASK_HEAD - _MASK_TAIL
    if hidden <= 0:
        return "*" * len(token)
    return token[:_MASK_HEAD] + "*" * min(hidden, _MASK_MAX) + token[-_MASK_TAIL:]
