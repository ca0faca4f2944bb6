"""The scripts, the style and the icon: read once, the same for everybody, signed in or not."""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web
from msgspec import Struct

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class Asset(Struct, frozen=True):
    """One file.

    Attributes:
        body: Its bytes.
        type: Its media type.
        tag: Changes with its content.
    """

    body: bytes
    type: str
    tag: str


class Assets:
    """All of them, by their path below `/dashboard/assets/`."""

    def __init__(self) -> None:
        root = resources.files("ragen_actor.dashboard") / "assets"
        self._by_name = dict(_read(root, ""))

    def answer(self, request: web.BaseRequest, name: str) -> web.Response | None:
        """Return one, or that the browser has it already; None if there is none of that name."""
        asset = self._by_name.get(name)
        if asset is None:
            return None
        # A browser asks each time and mostly gets no body: what changed is there at once.
        headers = {
            "ETag": asset.tag,
            "Cache-Control": "no-cache",
            # The frame of a picture belongs to no origin, and nothing here is a secret.
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.headers.get("If-None-Match") == asset.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, headers={**headers, "Content-Type": asset.type})


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _read(each, f"{prefix}{each.name}/")
        elif (kind := _TYPES.get(each.name[each.name.rfind(".") :])) is not None:
            body = each.read_bytes()
            tag = f'"{sha256(body).hexdigest()[:32]}"'
            found.append((prefix + each.name, Asset(body, kind, tag)))
    return found
