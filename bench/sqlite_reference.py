"""What one would write otherwise: aiohttp and SQLite, WAL, synced, with a batching writer."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import uvloop
from aiohttp import web


class Turn(msgspec.Struct):
    role: str
    content: str


_decode = msgspec.json.Decoder(Turn).decode
Row = tuple[str, str, bytes]


class Store:
    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS messages"
            " (n INTEGER PRIMARY KEY, thread TEXT, id TEXT UNIQUE, body BLOB)"
        )
        self.database.execute("CREATE INDEX IF NOT EXISTS by_thread ON messages (thread, n)")
        self.reader = sqlite3.connect(path, check_same_thread=False)
        self.executor = ThreadPoolExecutor(1)
        self.waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self.writing = False

    def append(self, row: Row) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((row, done))
        if not self.writing:
            self.writing = True
            asyncio.get_running_loop().call_soon(self.start)
        return done

    def start(self) -> None:
        batch, self.waiting = self.waiting, []
        work = asyncio.get_running_loop().run_in_executor(
            self.executor, self.write, [row for row, _ in batch]
        )
        work.add_done_callback(lambda _: self.finish(batch))

    def write(self, rows: list[Row]) -> None:
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO messages (thread, id, body) VALUES (?, ?, ?)", rows)
        self.database.execute("COMMIT")

    def finish(self, batch: list[tuple[Row, asyncio.Future[None]]]) -> None:
        for _, done in batch:
            done.set_result(None)
        self.writing = bool(self.waiting)
        if self.waiting:
            self.start()

    def page(self, thread: str) -> bytes:
        rows = self.reader.execute(
            "SELECT body FROM messages WHERE thread = ? ORDER BY n DESC LIMIT 20", (thread,)
        )
        return b'{"object":"list","data":[' + b",".join(row[0] for row in rows) + b"]}"


def application(path: str) -> web.Application:
    stores: list[Store] = []

    async def opened(_: web.Application) -> None:
        stores.append(Store(path))

    async def append(request: web.Request) -> web.Response:
        turn = _decode(await request.read())
        thread, message = request.match_info["thread"], f"msg-{uuid.uuid4().hex}"
        now = int(time.time())
        body = msgspec.json.encode(
            {
                "id": message,
                "object": "thread.message",
                "created_at": now,
                "thread_id": thread,
                "role": turn.role,
                "content": [{"type": "text", "text": {"value": turn.content, "annotations": []}}],
                "attachments": [],
                "metadata": {},
                "status": "completed",
                "completed_at": now,
            }
        )
        await stores[0].append((thread, message, body))
        return web.Response(body=body, content_type="application/json")

    async def page(request: web.Request) -> web.Response:
        body = stores[0].page(request.match_info["thread"])
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.on_startup.append(opened)
    app.router.add_post("/v1/threads/{thread}/messages", append)
    app.router.add_get("/v1/threads/{thread}/messages", page)
    return app


def main() -> None:
    options: dict[str, Any] = {"access_log": None, "print": None}
    web.run_app(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop=uvloop.new_event_loop(),
        **options,
    )


if __name__ == "__main__":
    main()
