"""The floor: an aiohttp handler that parses a turn and answers 480 bytes, and does nothing else."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import uvloop
from aiohttp import web


class Turn(msgspec.Struct):
    role: str
    content: str


ANSWER = b'{"x":"' + b"y" * 472 + b'"}'
_decode = msgspec.json.Decoder(Turn).decode


async def answer(request: web.Request) -> web.Response:
    body = await request.read()
    if body:
        _decode(body)
    return web.Response(body=ANSWER, content_type="application/json")


def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/v1/threads/x/messages", answer)
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(), **options
    )


if __name__ == "__main__":
    main()
