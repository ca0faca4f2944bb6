"""What one would write otherwise: aiohttp and SQLite, WAL, synced, with a batching writer.

It asks for no key, counts no requests and checks no more than the shape of a body. Reads are done
in the event loop, which is the quickest for rows that are in memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import uvloop
from aiohttp import web

TABLES = (
    "CREATE TABLE IF NOT EXISTS threads (n INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB)",
    "CREATE TABLE IF NOT EXISTS messages"
    " (n INTEGER PRIMARY KEY, thread TEXT, id TEXT UNIQUE, body BLOB)",
    "CREATE INDEX IF NOT EXISTS by_thread ON messages (thread, n)",
)
ADD_THREAD = "INSERT INTO threads (id, body) VALUES (?, ?)"
ADD_MESSAGE = "INSERT INTO messages (thread, id, body) VALUES (?, ?, ?)"
GET_THREAD = "SELECT body FROM threads WHERE id = ?"
GET_MESSAGE = "SELECT body FROM messages WHERE id = ?"
LIST_THREADS = (
    "SELECT body FROM threads WHERE n < coalesce((SELECT n FROM threads WHERE id = ?), 1 << 62)"
    " ORDER BY n DESC LIMIT 20"
)
LIST_MESSAGES = (
    "SELECT body FROM messages WHERE thread = ?"
    " AND n < coalesce((SELECT n FROM messages WHERE id = ?), 1 << 62) ORDER BY n DESC LIMIT 20"
)

Statement = tuple[str, tuple[Any, ...]]


class Turn(msgspec.Struct):
    role: str
    content: str


class NewThread(msgspec.Struct):
    messages: tuple[Turn, ...] = ()


_turn = msgspec.json.Decoder(Turn).decode
_new_thread = msgspec.json.Decoder(NewThread).decode


class Store:
    """The database: one connection for the writer's thread, one for reads."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        for statement in TABLES:
            self.database.execute(statement)
        self.reader = sqlite3.connect(path, check_same_thread=False)
        self.executor = ThreadPoolExecutor(1)
        self.waiting: list[tuple[Sequence[Statement], asyncio.Future[None]]] = []
        self.writing = False

    def commit(self, *statements: Statement) -> asyncio.Future[None]:
        """Do these together with what others want done at the same time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((statements, done))
        if not self.writing:
            self.writing = True
            asyncio.get_running_loop().call_soon(self._start)
        return done

    def _start(self) -> None:
        batch, self.waiting = self.waiting, []
        statements = [each for unit, _ in batch for each in unit]
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self.executor, self._write, statements)
        work.add_done_callback(lambda work: self._finish(work, batch))

    def _write(self, statements: Sequence[Statement]) -> None:
        self.database.execute("BEGIN")
        for statement, values in statements:
            self.database.execute(statement, values)
        self.database.execute("COMMIT")

    def _finish(
        self,
        work: asyncio.Future[None],
        batch: Sequence[tuple[Sequence[Statement], asyncio.Future[None]]],
    ) -> None:
        error = work.exception()
        for _, done in batch:
            if error is not None:
                done.set_exception(error)
            elif not done.done():  # The asker may have left.
                done.set_result(None)
        self.writing = bool(self.waiting)
        if self.waiting:
            self._start()

    def one(self, statement: str, key: str) -> bytes:
        row = self.reader.execute(statement, (key,)).fetchone()
        if row is None:
            raise web.HTTPNotFound
        return bytes(row[0])

    def page(self, statement: str, *values: str) -> bytes:
        rows = self.reader.execute(statement, values)
        return b'{"object":"list","data":[' + b",".join(row[0] for row in rows) + b"]}"


def _message(thread: str, turn: Turn) -> tuple[Statement, bytes]:
    now, message = int(time.time()), f"msg-{uuid.uuid4().hex}"
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
    return (ADD_MESSAGE, (thread, message, body)), body


def application(path: str) -> web.Application:
    app = web.Application(client_max_size=8 << 20)
    stores: list[Store] = []

    async def opened(_: web.Application) -> None:
        stores.append(Store(path))

    def answer(body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def append(request: web.Request) -> web.Response:
        turn = _turn(await request.read())
        statement, body = _message(request.match_info["thread"], turn)
        await stores[0].commit(statement)
        return answer(body)

    async def create(request: web.Request) -> web.Response:
        new = _new_thread(await request.read())
        thread = f"thread-{uuid.uuid4().hex}"
        body = msgspec.json.encode(
            {"id": thread, "object": "thread", "created_at": int(time.time()), "metadata": {}}
        )
        turns = [_message(thread, turn)[0] for turn in new.messages]
        await stores[0].commit((ADD_THREAD, (thread, body)), *turns)
        return answer(body)

    async def thread(request: web.Request) -> web.Response:
        return answer(stores[0].one(GET_THREAD, request.match_info["thread"]))

    async def message(request: web.Request) -> web.Response:
        return answer(stores[0].one(GET_MESSAGE, request.match_info["message"]))

    async def threads(request: web.Request) -> web.Response:
        return answer(stores[0].page(LIST_THREADS, request.query.get("after", "")))

    async def messages(request: web.Request) -> web.Response:
        cursor = request.query.get("after", "")
        return answer(stores[0].page(LIST_MESSAGES, request.match_info["thread"], cursor))

    app.on_startup.append(opened)
    app.router.add_post("/v1/threads", create)
    app.router.add_get("/v1/threads", threads)
    app.router.add_get("/v1/threads/{thread}", thread)
    app.router.add_post("/v1/threads/{thread}/messages", append)
    app.router.add_get("/v1/threads/{thread}/messages", messages)
    app.router.add_get("/v1/threads/{thread}/messages/{message}", message)
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
