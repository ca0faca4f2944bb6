"""Which path and method of the dashboard lead to which handler."""

from __future__ import annotations

from urllib.parse import unquote

from msgspec import Struct

from ragen_actor.dashboard import changing, download, live, reading
from ragen_actor.dashboard.visit import Handler
from ragen_actor.web.routes import UnknownUrl, WrongMethod

ROOT = "/dashboard"


class Path(Struct, frozen=True):
    """What a request leads to.

    Attributes:
        handler: What answers.
        is_page: Whether a person opens it, and is sent to sign in first.
        thread_id: From the path, decoded; empty where it has none.
        message_id: Likewise.
    """

    handler: Handler
    is_page: bool = False
    thread_id: str = ""
    message_id: str = ""


_THREAD, _TURN = "{thread_id}", "{message_id}"
_PATHS: dict[tuple[str, ...], dict[str, Handler]] = {
    (): {"GET": reading.home},
    ("picture",): {"GET": reading.picture},
    ("live",): {"GET": live.stream},
    ("threads",): {"GET": reading.rows, "POST": changing.create_thread},
    ("threads", _THREAD): {
        "GET": reading.thread,
        "PATCH": changing.modify_thread,
        "DELETE": changing.delete_thread,
    },
    ("threads", _THREAD, "row"): {"GET": reading.row},
    ("threads", _THREAD, "conversation"): {"GET": reading.conversation},
    ("threads", _THREAD, "download"): {"GET": download.jsonl},
    ("threads", _THREAD, "turns"): {"GET": reading.turns, "POST": changing.create_turn},
    ("threads", _THREAD, "turns", _TURN): {"GET": reading.turn, "DELETE": changing.delete_turn},
}
_PAGES = (reading.home, reading.thread, download.jsonl)


def is_below(path: str) -> bool:
    """Tell whether a path is the dashboard's."""
    return path == ROOT or path.startswith(ROOT + "/")


def find(method: str, path: str) -> Path:
    """Return what a request leads to.

    Args:
        method: As sent.
        path: As sent, still percent-encoded, without its query; at or below `/dashboard`.

    Raises:
        UnknownUrl: There is nothing there.
        WrongMethod: It has other methods.
    """
    parts = tuple(unquote(part) for part in path[len(ROOT) :].strip("/").split("/") if part)
    thread_id = parts[1] if len(parts) > 1 and parts[0] == "threads" else ""
    message_id = parts[3] if len(parts) == 4 and parts[2] == "turns" else ""
    pattern = tuple(
        _THREAD if place == 1 and thread_id else _TURN if place == 3 and message_id else part
        for place, part in enumerate(parts)
    )
    methods = _PATHS.get(pattern)
    if methods is None:
        raise UnknownUrl(f"Invalid URL ({method} {path})")
    handler = methods.get(method)
    if handler is None:
        raise WrongMethod(method, path, tuple(methods))
    return Path(handler, handler in _PAGES, thread_id, message_id)
