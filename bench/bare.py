"""The floor: an aiohttp handler that parses the body and answers 480 bytes, and no more.

One static route; a POST's body is decoded with msgspec into typed fields, as any server must. What
is left is what aiohttp itself costs with uvloop and its parser in C.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import uvloop
from aiohttp import web

PATH = "/"


class Turn(msgspec.Struct):
    role: str
    content: str


class Body(msgspec.Struct):
    """Any of the bodies of the loads: a turn, or a new thread with some."""

    role: str = ""
    content: str = ""
    messages: tuple[Turn, ...] = ()


ANSWER = b'{"x":"' + b"y" * 472 + b'"}'
assert len(ANSWER) == 480
_decode = msgspec.json.Decoder(Body).decode


async def answer(request: web.Request) -> web.Response:
    if request.method == "POST":
        _decode(await request.read())
    return web.Response(body=ANSWER, content_type="application/json")


def main() -> None:
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", PATH, answer)
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(), **options
    )


if __name__ == "__main__":
    main()
