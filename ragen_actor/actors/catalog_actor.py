"""The owner of one organisation's list of threads: it names new ones, finds and lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ragen_actor import schema
from ragen_actor.actors import commands, sealed
from ragen_actor.actors.actor import Actor
from ragen_actor.actors.commands import Command
from ragen_actor.actors.mailbox import Envelope
from ragen_actor.actors.paging import page
from ragen_actor.actors.turns import sealed_turn, thread_too_long, too_long, turn
from ragen_actor.actors.world import World
from ragen_actor.errors import ThreadNotFound
from storage import (
    CatalogLog,
    LogHeader,
    RecordError,
    ThreadLog,
    halves,
    payload,
    whole,
)
from storage.append import Append

_COUNTERS = 1 << 16
_ID = slice(7, 46)
"""Where a stored thread has its id."""


class CatalogActor(Actor):
    """One organisation's catalogue.

    Args:
        world: What is outside.
        org: Whose it is.
        created: Called with the log of each new thread once it is durable.
    """

    __slots__ = ("_created", "_newest_key", "org")

    log: CatalogLog

    def __init__(
        self, world: World, org: str, created: Callable[[str, str, ThreadLog], None]
    ) -> None:
        super().__init__(world)
        self.org = org
        self._created = created
        self._newest_key = 0

    def activate(self, log: CatalogLog) -> None:
        """Begin to answer."""
        self.log = log
        self._newest_key = log.index.last_key
        self._tend()
        self._activate()

    def holds(self, thread_id: str) -> bool:
        """Tell whether there may be such a thread: its random bits are not looked at."""
        key = schema.thread_key(thread_id)
        return key is not None and self.log.index.find(key) is not None

    def _may_begin(self, command: Command) -> bool:
        return not (self.log.held and self._is_held(self.log))

    def _begin(self, envelope: Envelope) -> None:
        _STEPS[type(envelope.command)](self, envelope, envelope.command)

    def _get(
        self, envelope: Envelope, command: commands.GetThread | sealed.GetSealedThread
    ) -> None:
        thread_id = command.thread_id
        cut = whole if isinstance(command, sealed.GetSealedThread) else payload
        key = schema.thread_key(thread_id)
        place = None if key is None else self.log.place(key)
        if place is None:
            raise ThreadNotFound(thread_id)

        def found(objects: list[bytes]) -> None:
            data = objects[0] if cut is payload else halves(objects[0])[0]
            if data[_ID] != thread_id.encode():
                raise ThreadNotFound(thread_id)
            self._answer(envelope, data if cut is payload else sealed.render_page(objects, False))

        self._read(envelope, self.log, place, found, cut)

    def _list(
        self, envelope: Envelope, command: commands.ListThreads | sealed.ListSealedThreads
    ) -> None:
        positions, more = page(
            self.log, command.query, schema.thread_key, self.world.page_bytes_max
        )
        is_sealed = isinstance(command, sealed.ListSealedThreads)
        self._answer_page(envelope, positions, more=more, is_sealed=is_sealed)

    def _create(
        self, envelope: Envelope, command: commands.CreateThread | sealed.CreateSealedThread
    ) -> None:
        request = command.request
        encrypted = command if isinstance(command, sealed.CreateSealedThread) else None
        thread_id, ms = self._new_id()
        thread_log = self.world.storage.new_thread(self.org, thread_id)
        thread_log.sealed = encrypted is not None
        data = schema.encode(
            schema.Thread(
                id=thread_id,
                created_at=ms // 1000,
                metadata=request.metadata,
                tool_resources=request.tool_resources,
                title=request.title,
                assistant_id=command.assistant_id,
            )
        )
        bits = self.world.random
        if encrypted is None:
            pairs = [
                (turn(thread_id, each, ms=ms, sequence=sequence, random=bits(48)), b"")
                for sequence, each in enumerate(request.messages, 1)
            ]
        else:
            pairs = [
                sealed_turn(thread_id, each, ms=ms, sequence=sequence, random=bits(48))
                for sequence, each in enumerate(encrypted.turns, 1)
            ]
        try:
            turns = [thread_log.add(sequence, *pair) for sequence, pair in enumerate(pairs, 1)]
        except RecordError as error:
            raise too_long() from error
        header = LogHeader(
            id=thread_id,
            org=self.org,
            create_bytes=sum([len(each.line) for each in turns]),
            sealed=True if encrypted else msgspec.UNSET,
        )
        try:
            entry = self.log.add(self.log.next_number, data, encrypted.key if encrypted else b"")
            appends = [*self._first_line(), thread_log.header(header), *turns, entry]
        except RecordError as error:
            raise thread_too_long() from error

        def committed() -> None:
            self._added()
            self._created(self.org, thread_id, thread_log)
            self.world.watchers.announce(self.org, "thread-created", thread_id)
            self._answer(envelope, data)

        self._commit(envelope, appends, committed)

    def _first_line(self) -> list[Append]:
        """Before the first thread of all, return the header of the catalogue.

        As the first of its unit it also makes the catalogue's file before there is a folder for
        threads beside it: so a copy that has passed by the one has not seen the other either.
        """
        log = self.log
        if log.end or log.pending > 1:
            return []
        return [log.header(LogHeader(id=self.org, org=self.org))]

    def _new_id(self) -> tuple[str, int]:
        """Return a new thread's id, greater than all before, and its creation time.

        The clock may have been set back, and a millisecond may see more threads than there are
        counters: time then goes on from the newest thread's.
        """
        ms = int(self.world.clock() * 1000)
        # The log's own may have come later: a line that its file owed when this actor woke.
        newest = max(self._newest_key, self.log.index.last_key)
        self._newest_key = key = max(ms * _COUNTERS, newest + 1)
        ms, counter = divmod(key, _COUNTERS)
        return schema.make_thread_id(ms, counter, self.world.random(64)), ms


_STEPS: dict[type[Command], Callable[[CatalogActor, Envelope, Any], None]] = {
    commands.CreateThread: CatalogActor._create,
    commands.GetThread: CatalogActor._get,
    commands.ListThreads: CatalogActor._list,
    commands.Compact: CatalogActor._compact,
    sealed.CreateSealedThread: CatalogActor._create,
    sealed.GetSealedThread: CatalogActor._get,
    sealed.ListSealedThreads: CatalogActor._list,
}
"""What is done for each command."""
