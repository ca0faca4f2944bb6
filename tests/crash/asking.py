"""One registry on one open `Storage`, asked as the HTTP door asks it, and every answer checked."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from ragen_actor import actors, schema
from ragen_actor.actors import Limits, Registry
from ragen_actor.actors.sweep import compact_thread
from ragen_actor.errors import Damaged, InvalidRequest, NotFound, RagenError, Unavailable
from storage import DamagedRecord, Storage, StorageError, WriteRefused
from storage.append import Append, Done
from storage.datadir import catalog_path, thread_path
from tests.crash.fake_disk import FakeDisk
from tests.crash.logs import Violation
from tests.crash.model import Fate, Model
from tests.crash.paging import Page, View, key_of
from tests.crash.witness import Witness

T = TypeVar("T")


class WatchedStorage(Storage):
    """A storage whose every unit a witness sees.

    Attributes:
        witness: Set before the first unit.
    """

    witness: Witness

    def commit(self, appends: Sequence[Append], done: Done) -> None:
        witness = self.witness
        unit = witness.plan(appends)

        def told(error: StorageError | None) -> None:
            witness.told(unit, appends, error)
            done(error)

        try:
            super().commit(appends, told)
        except (WriteRefused, DamagedRecord) as error:
            witness.told(unit, appends, error)
            raise


class Asking:
    """Asks a registry, and compares its answers with what storage was told.

    Attributes:
        registry: Of this life.
        witness: Of what storage is handed.
        known: By organisation and thread, the ids of messages that somebody was told of.
    """

    def __init__(
        self,
        storage: WatchedStorage,
        disk: FakeDisk,
        model: Model,
        rng: random.Random,
        now: Callable[[], float],
    ) -> None:
        self.storage = storage
        self.witness = storage.witness = Witness(model, disk)
        self.known: dict[str, dict[str, dict[str, None]]] = {}
        self._disk = disk
        self._rng = rng
        self._now = now
        self._last = 0.0
        limits = Limits(
            mailbox_commands_max=rng.choice([4, 1024]),
            idle_seconds=rng.choice([2.0, 300.0]),
            resident_bytes_max=rng.choice([1, 20_000, 1 << 28]),
            page_bytes_max=rng.choice([2000, 1 << 23]),
        )
        self.registry = Registry(storage, limits, clock=self._clock, random=rng.getrandbits)

    def _clock(self) -> float:
        """Give every command a second of its own: no two tombstones are the same bytes then."""
        self._last = max(self._now(), self._last + 1)
        return self._last

    async def create(self, org: str, messages: int) -> RagenError | None:
        """Create a thread; say why that failed."""
        body = {"messages": [self._message() for _ in range(messages)], "metadata": self._mark()}
        request = schema.parse_create_thread(json.dumps(body).encode(), messages_max=900)
        command = actors.CreateThread(request, "asst-web")
        data = await self._asked(lambda: self.registry.ask_catalog(org, command))
        if isinstance(data, RagenError):
            return data
        self._check_acknowledged(catalog_path(org), data)
        self.known[org].setdefault(_id_of(data), {})
        return None

    async def append(self, org: str, thread: str) -> None:
        """Add a message."""
        body = json.dumps(self._message()).encode()
        command = actors.AppendMessage(schema.parse_create_message(body))
        data = await self._asked_thread(org, thread, command)
        if data is not None:
            self._check_acknowledged(thread_path(org, thread), data)
            self.known[org].get(thread, {})[_id_of(data)] = None

    async def modify_thread(self, org: str, thread: str) -> None:
        """Change a thread's metadata."""
        body = json.dumps({"metadata": self._mark()}).encode()
        command = actors.ModifyThread(schema.parse_modify_thread(body))
        data = await self._asked_thread(org, thread, command)
        if data is not None:
            self._check_acknowledged(catalog_path(org), data)

    async def delete_thread(self, org: str, thread: str) -> None:
        """Delete a thread."""
        if await self._asked_thread(org, thread, actors.DeleteThread()) is not None:
            self._check_removed(catalog_path(org), schema.thread_key(thread))
            self.known[org].pop(thread, None)

    async def modify_message(self, org: str, thread: str, message: str) -> None:
        """Change a message's metadata."""
        body = json.dumps({"metadata": self._mark()}).encode()
        command = actors.ModifyMessage(message, schema.parse_modify_message(body))
        data = await self._asked_thread(org, thread, command, message)
        if data is not None:
            self._check_acknowledged(thread_path(org, thread), data)

    async def delete_message(self, org: str, thread: str, message: str) -> None:
        """Delete a message."""
        command = actors.DeleteMessage(message)
        if await self._asked_thread(org, thread, command, message) is not None:
            self._check_removed(thread_path(org, thread), schema.message_sequence(message))

    async def get_message(self, org: str, thread: str, message: str) -> None:
        """Read a message."""
        path = thread_path(org, thread)
        view = View.of(self.witness, path)
        data = await self._asked_thread(org, thread, actors.GetMessage(message), message)
        if data is not None:
            key = key_of(path, data)
            self.witness.check_object(path, key, data, view.newest.get(key, -1))

    async def page(self, org: str, thread: str | None, query: str) -> Page | None:
        """Read a page of a thread's messages, or of the threads; None where it is not answered."""
        asked = schema.parse_list_query(query, "message" if thread else "thread")
        view = View.of(self.witness, thread_path(org, thread) if thread else catalog_path(org))
        if thread:
            data = await self._asked_thread(org, thread, actors.ListMessages(asked))
        else:
            command = actors.ListThreads(asked)
            answer = await self._asked(lambda: self.registry.ask_catalog(org, command))
            data = None if isinstance(answer, RagenError) else answer
        if data is None:
            return None
        page = msgspec.json.decode(data, type=Page)
        view.check(self.witness, asked, page)
        for each in page.objects:
            known = self.known[org]
            if thread is None:
                known.setdefault(_id_of(each), {})
            elif thread in known:
                known[thread][_id_of(each)] = None
        return page

    async def walk(self, org: str, thread: str | None, order: str) -> list[bytes] | None:
        """Read page after page from one end to the other; None where one is not answered."""
        path = thread_path(org, thread) if thread else catalog_path(org)
        view = View.of(self.witness, path)
        limit = self._rng.choice([1, 3, 20, 100])
        asked = query = f"limit={limit}&order={order}"
        found: list[bytes] = []
        while True:
            page = await self.page(org, thread, query)
            if page is None:
                return None
            found += page.objects
            if not page.has_more:
                break
            query = f"{asked}&after={page.last_id}"
        view.check_walk(self.witness, schema.parse_list_query(asked, "message"), found)
        return found

    async def compact(self, org: str, thread: str) -> None:
        """Have a thread's log rewritten."""
        now = self._rng.random() < 0.7
        await self._asked(
            lambda: compact_thread(self.registry, org, thread, now=now),
            lambda: self._is_gone(org, thread, None),
        )

    async def _asked_thread(
        self, org: str, thread: str, command: Any, message: str | None = None
    ) -> bytes | None:
        answer = await self._asked(
            lambda: self.registry.ask_thread(org, thread, command),
            lambda: self._is_gone(org, thread, message),
        )
        return None if isinstance(answer, RagenError) else answer

    async def _asked(
        self, ask: Callable[[], Awaitable[T]], is_gone: Callable[[], bool] = lambda: False
    ) -> T | RagenError:
        """Ask; an error must have its reason.

        Raises:
            Violation: It has none.
        """
        try:
            return await ask()
        except RagenError as error:
            foreseen = type(error) is not RagenError
            if not foreseen or isinstance(error, Damaged | InvalidRequest):
                raise Violation(f"the server says {error!r}") from error
            if isinstance(error, NotFound) and not is_gone():
                raise Violation(f"something is not found any more: {error}") from error
            excused = isinstance(error, NotFound | Unavailable) or self._disk.faults.injected
            if not excused:
                raise Violation(f"though nothing was wrong: {error!r}") from error
            return error

    def _is_gone(self, org: str, thread: str, message: str | None) -> bool:
        """Tell whether a thread or a message may have been deleted."""
        key = schema.thread_key(thread)
        place = None if message is None else schema.message_sequence(message)
        gone = self.witness.may_be_removed
        return gone(catalog_path(org), key or 0) or gone(thread_path(org, thread), place or 0)

    def _check_acknowledged(self, path: str, data: bytes) -> None:
        unit = self.witness.model.unit_of(path, data)
        if unit is None or unit.fate not in (Fate.THERE, Fate.GONE):
            raise Violation(f"{path}: answered and not acknowledged: {data[:80]!r}")

    def _check_removed(self, path: str, key: int | None) -> None:
        if key not in self.witness.removed[path]:
            raise Violation(f"{path}: answered and not deleted: {key}")

    def _mark(self) -> dict[str, str]:
        return {"n": f"{self._rng.getrandbits(60):015x}"}

    def _message(self) -> dict[str, object]:
        size = self._rng.choice([1, 4, 4, 20, 90, self._rng.randrange(1, 600)])
        text = f"{self._rng.getrandbits(40):010x}" * size
        return {"role": self._rng.choice(["user", "assistant"]), "content": text}


def _id_of(data: bytes) -> str:
    return data[7 : data.index(b'"', 7)].decode()
