"""Which paths are passed on, and that none of them reaches another place there.

A path that begins with an allowed one must still do so after every server on the way has decoded
and tidied it, whatever its taste: percent signs twice over, backslashes, parameters behind `..;`.
What does not is an unknown URL here, as any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from yarl import URL

from ragen_actor.errors import InvalidRequest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""What the upstream may be asked; it says itself what it has where."""

_ROOT = "/v1/"
_DECODINGS_MAX = 4
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")  # RFC 3986, 3.3.
_QUERY = re.compile(r"[!\"$-~]*")  # All that can be seen, but the # that would end it.
_NOWHERE = frozenset(("", ".", ".."))


def passed_on(path: str, allowed: Collection[str]) -> str | None:
    """Return what of a path follows the version; None if it is not passed on.

    Args:
        path: As sent, still percent-encoded, without its query.
        allowed: Paths as `chat/completions`; what lies below them is allowed too.
    """
    if not path.startswith(_ROOT):
        return None
    tail = path[len(_ROOT) :]
    if not _is_below(tail, allowed) or not _PATH.fullmatch(tail):
        return None
    decoded = tail
    for _ in range(_DECODINGS_MAX):
        if "%" not in decoded:
            break
        decoded = unquote(decoded)
    else:
        return None
    decoded = decoded.replace("\\", "/")
    if not decoded.isprintable() or "\ufffd" in decoded or not _is_below(decoded, allowed):
        return None
    segments = (segment.partition(";")[0].strip() for segment in decoded.split("/"))
    return None if any(segment in _NOWHERE for segment in segments) else tail


def url_of(base_url: str, tail: str, query: str) -> URL:
    """Return where a request goes: nothing of path and query is encoded anew.

    Raises:
        InvalidRequest: The query holds what no URL may.
    """
    if not _QUERY.fullmatch(query):
        raise InvalidRequest("The query of the URL holds a character that must be percent-encoded.")
    return URL(f"{base_url}/{tail}?{query}" if query else f"{base_url}/{tail}", encoded=True)


def _is_below(tail: str, allowed: Collection[str]) -> bool:
    return any(tail == each or tail.startswith(each + "/") for each in allowed)
