"""The floor: an aiohttp handler that parses the body and answers 480 bytes, and no more.

One static route; a POST's body is decoded with msgspec into typed fields, as any server must. What
is left is what aiohttp itself costs with uvloop and its parser in C.

A second route also makes a small file for each request, and does not sync it: the floor of whoever
keeps each thread in a file of its own.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web

PATH = "/"
FILE_PATH = "/file"


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


class Files:
    """Makes files in 256 folders, as many as there are requests.

    Args:
        folder: Where; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._names = (f"{folder}/{number % 256:02x}/{number:039}.jsonl" for number in count())
        for number in range(256):
            (folder / f"{number:02x}").mkdir(parents=True)

    async def answer(self, request: web.Request) -> web.Response:
        response = await answer(request)
        number = os.open(next(self._names), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(number, ANSWER[:220], 0)
        os.close(number)
        return response


def main() -> None:
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", PATH, answer)
    app.router.add_route("*", FILE_PATH, Files(Path(sys.argv[2])).answer)
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(), **options
    )


if __name__ == "__main__":
    main()
