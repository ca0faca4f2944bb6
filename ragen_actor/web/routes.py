"""THE ROUTES: which path and method lead to which handler."""

from __future__ import annotations

from urllib.parse import unquote

from msgspec import Struct

from ragen_actor.errors import RagenError
from ragen_actor.web import handlers
from ragen_actor.web.call import Handler


class UnknownUrl(RagenError):
    """No route has this path."""


class WrongMethod(RagenError):
    """The route exists, for other methods.

    Attributes:
        allowed: Those that it has.
    """

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"Invalid method for URL ({method} {path})")
        self.allowed = allowed


class Route(Struct, frozen=True, gc=False):
    """What a request's path and method lead to.

    Attributes:
        handler: What answers.
        thread_id: From the path, decoded; empty where the route has none.
        message_id: Likewise.
    """

    handler: Handler
    thread_id: str = ""
    message_id: str = ""


THREADS = "/v1/threads"
"""Every path that begins so is answered here."""

# A list of threads, one thread, its list of messages, one message: by the number of segments.
_METHODS: dict[int, dict[str, Handler]] = {
    3: {"POST": handlers.create_thread, "GET": handlers.list_threads},
    4: {
        "GET": handlers.get_thread,
        "POST": handlers.modify_thread,
        "PATCH": handlers.modify_thread,
        "DELETE": handlers.delete_thread,
    },
    5: {"POST": handlers.create_message, "GET": handlers.list_messages},
    6: {
        "GET": handlers.get_message,
        "POST": handlers.modify_message,
        "DELETE": handlers.delete_message,
    },
}
DOCUMENTED = {
    "/v1/threads": tuple(_METHODS[3]),
    "/v1/threads/{thread_id}": tuple(_METHODS[4]),
    "/v1/threads/{thread_id}/messages": tuple(_METHODS[5]),
    "/v1/threads/{thread_id}/messages/{message_id}": tuple(_METHODS[6]),
    "/healthz": ("GET",),
    "/readyz": ("GET",),
}
"""Every route, for the documentation and its test."""

_ROOT = ["", "v1", "threads"]
_NO_THREAD = frozenset(("", "runs"))
NOT_THERE = "This server keeps threads and messages; it has no {what} yet."


def find(method: str, path: str) -> Route:
    """Return the route of a request.

    Args:
        method: As sent.
        path: As sent, still percent-encoded, without its query.

    Raises:
        UnknownUrl: There is none for this path.
        WrongMethod: There is none for this method.
    """
    parts = path.split("/")
    count = len(parts)
    methods = _METHODS.get(count)
    if (
        methods is None
        or parts[:3] != _ROOT
        or (count > 3 and parts[3] in _NO_THREAD)
        or (count > 4 and parts[4] != "messages")
        or (count > 5 and not parts[5])
    ):
        raise _unknown(method, path, parts)
    handler = methods.get(method)
    if handler is None:
        raise WrongMethod(method, path, tuple(methods))
    if count == 3:
        return Route(handler)
    thread_id = parts[3] if "%" not in parts[3] else unquote(parts[3])
    if count < 6:
        return Route(handler, thread_id)
    return Route(handler, thread_id, parts[5] if "%" not in parts[5] else unquote(parts[5]))


def _unknown(method: str, path: str, parts: list[str]) -> UnknownUrl:
    """Say that there is no such path; where other servers have something, that it is not here."""
    if parts[:3] == ["", "v1", "assistants"]:
        return UnknownUrl(NOT_THERE.format(what="assistants"))
    if parts[:3] == _ROOT and "runs" in (parts[3:4] + parts[4:5]):
        return UnknownUrl(NOT_THERE.format(what="runs"))
    return UnknownUrl(f"Invalid URL ({method} {path})")
