"""The owner of one thread: its messages, its changes, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ragen_actor import schema
from ragen_actor.actors import commands, sealed
from ragen_actor.actors.commands import Command
from ragen_actor.actors.entry import THREAD, Entry
from ragen_actor.actors.mailbox import Envelope
from ragen_actor.actors.paging import page
from ragen_actor.actors.turns import after_message_change, sealed_turn, too_long, turn
from ragen_actor.actors.world import World
from ragen_actor.errors import MessageNotFound, ThreadNotFound
from storage import (
    CatalogLog,
    Place,
    RecordError,
    ThreadLog,
    Tombstone,
    halves,
    whole,
)

_INDEPENDENT = frozenset(
    (
        commands.AppendMessage,
        commands.ListMessages,
        commands.GetMessage,
        sealed.AppendSealed,
        sealed.ListSealedMessages,
        sealed.GetSealedMessage,
    )
)
"""What needs no other command's end."""
_IN_CATALOG = frozenset((commands.ModifyThread, commands.DeleteThread, sealed.ReplaceKey))
"""What writes to the catalogue."""
_ID = slice(7, 43)
"""Where a stored message has its id."""


class ThreadActor(Entry):
    """One thread.

    Appends need no more than the next sequence, so they are planned while others are on their way
    to the disk. A change or a delete is checked against what is committed: it waits while another
    change of the same object is on its way, and the delete of the thread waits for all.

    Args:
        world: What is outside.
        org: The organisation that owns the thread.
        thread_id: A native id.
        deleted: Called once the thread is no more.
    """

    __slots__ = ("_deleted", "_deleting", "_doubtful", "_last_ms")

    log: ThreadLog

    def __init__(
        self, world: World, org: str, thread_id: str, deleted: Callable[[ThreadActor], None]
    ) -> None:
        super().__init__(world, org, thread_id)
        self._deleted = deleted
        self._deleting = False
        self._doubtful = False
        self._last_ms = 0

    def activate(self, log: ThreadLog, catalog: CatalogLog) -> None:
        """Begin to answer."""
        self.log = log
        self._catalog = catalog
        # The thread's own creation time is in its key: no message is older than that.
        self._last_ms = max(log.index.last_ms, self._key >> 16)
        if log.index.records:
            self._tend()
        self._activate()

    def _may_begin(self, command: Command) -> bool:
        if self._deleting or (self.log.held and self._is_held(self.log)):
            return False
        if type(command) in _INDEPENDENT:
            return True
        if type(command) in _IN_CATALOG and self._is_held(self._catalog):
            return False
        match command:
            case (
                commands.ModifyMessage(message_id=message_id)
                | commands.DeleteMessage(message_id=message_id)
            ):
                return schema.message_sequence(message_id) not in self._changing
            case commands.ModifyThread() | sealed.ReplaceKey():
                return THREAD not in self._changing
            case commands.DeleteThread():
                return not self.mailbox.begun
        return True

    def _begin(self, envelope: Envelope) -> None:
        if self._doubtful:
            self._own_place()
        _STEPS[type(envelope.command)](self, envelope, envelope.command)

    def _append(self, envelope: Envelope, command: commands.AppendMessage) -> None:
        if self.log.sealed:
            raise schema.encrypted_thread(self.thread_id)
        ms, sequence, random = self._next()
        data = turn(self.thread_id, command.message, ms=ms, sequence=sequence, random=random)
        self._add(envelope, sequence, data, b"")

    def _append_sealed(self, envelope: Envelope, command: sealed.AppendSealed) -> None:
        assert self.log.sealed
        ms, sequence, random = self._next()
        pair = sealed_turn(self.thread_id, command.turn, ms=ms, sequence=sequence, random=random)
        self._add(envelope, sequence, *pair)

    def _next(self) -> tuple[int, int, int]:
        """Return the next message's time in Unix milliseconds, its sequence and its random bits."""
        world = self.world
        self._last_ms = max(int(world.clock() * 1000), self._last_ms)
        return self._last_ms, self.log.next_sequence, world.random(48)

    def _add(self, envelope: Envelope, sequence: int, data: bytes, what_is_sealed: bytes) -> None:
        world, log = self.world, self.log
        try:
            append = log.add(sequence, data, what_is_sealed)
        except RecordError as error:
            raise too_long() from error

        def committed() -> None:
            self._added()
            if world.watchers:
                self._announce("turn-added", data[_ID].decode())
            self._answer(envelope, data)

        self._commit(envelope, (append,), committed)

    def _list(
        self, envelope: Envelope, command: commands.ListMessages | sealed.ListSealedMessages
    ) -> None:
        query = command.query
        positions, more = page(self.log, query, schema.message_sequence, self.world.page_bytes_max)
        if query.run_id is not None:
            # Turns stored by hand belong to no run, and there are no others yet.
            positions, more = range(0), False
        is_sealed = isinstance(command, sealed.ListSealedMessages)
        self._answer_page(envelope, positions, more=more, is_sealed=is_sealed)

    def _get(
        self, envelope: Envelope, command: commands.GetMessage | sealed.GetSealedMessage
    ) -> None:
        message_id = command.message_id
        place = self._place(message_id)

        def found(objects: list[bytes]) -> None:
            self._answer(envelope, self._named(message_id, objects[0]))

        def found_sealed(lines: list[bytes]) -> None:
            self._named(message_id, halves(lines[0])[0])
            self._answer(envelope, sealed.render_page(lines, False))

        if isinstance(command, sealed.GetSealedMessage):
            self._read(envelope, self.log, place, found_sealed, whole)
        else:
            self._read(envelope, self.log, place, found)

    def _modify(self, envelope: Envelope, command: commands.ModifyMessage) -> None:
        message_id = command.message_id
        place = self._place(message_id)

        def found(lines: list[bytes]) -> None:
            data, its_sealed = halves(lines[0])
            changed = after_message_change(self._named(message_id, data), command.change)
            if changed is data:
                self._answer(envelope, data)
                return
            try:
                append = self.log.replace(place[0], changed, its_sealed)
            except RecordError as error:
                raise too_long() from error

            def committed() -> None:
                self._tend()
                self._announce("turn-changed", message_id)
                self._answer(envelope, changed)

            self._commit(envelope, (append,), committed)

        self._change(envelope, place[0])
        self._read(envelope, self.log, place, found, whole)

    def _delete(self, envelope: Envelope, command: commands.DeleteMessage) -> None:
        message_id = command.message_id
        place = self._place(message_id)

        def found(objects: list[bytes]) -> None:
            self._named(message_id, objects[0])
            data = msgspec.json.encode(Tombstone(message_id, int(self.world.clock())))
            append = self.log.remove(place[0], data)

            def committed() -> None:
                self._tend()
                self._announce("turn-deleted", message_id)
                self._answer(envelope, schema.deleted_message(message_id))

            self._commit(envelope, (append,), committed)

        self._change(envelope, place[0])
        self._read(envelope, self.log, place, found)

    def _delete_thread(self, envelope: Envelope, command: commands.DeleteThread) -> None:
        self._own_place()
        deleted_at = int(self.world.clock())
        data = msgspec.json.encode(Tombstone(self.thread_id, deleted_at))
        append = self._catalog.remove(self._catalog.next_number, data)

        def committed() -> None:
            self.log.dropped = True
            self.world.storage.upkeep.bury(self.org, self.thread_id, deleted_at)
            self.world.storage.tend(self._catalog)
            self.stop(ThreadNotFound(self.thread_id))
            self._deleted(self)
            self._announce("thread-deleted")
            self._answer(envelope, schema.deleted_thread(self.thread_id))

        envelope.changes = THREAD
        self._deleting = True
        self._commit(envelope, (append,), committed)

    def _changed(self, key: int) -> None:
        self._changing.discard(key)
        # A delete whose outcome was unknown may take effect later.
        self._doubtful = self._doubtful or self._deleting
        self._deleting = False

    def _place(self, message_id: str) -> Place:
        sequence = schema.message_sequence(message_id)
        place = None if sequence is None else self.log.place(sequence)
        if place is None:
            raise MessageNotFound(message_id)
        return place

    def _named(self, message_id: str, data: bytes) -> bytes:
        """Return the object if it is the one of that id: the sequence alone can be guessed."""
        if data[_ID] != message_id.encode():
            raise MessageNotFound(message_id)
        return data


_STEPS: dict[type[Command], Callable[[ThreadActor, Envelope, Any], None]] = {
    commands.AppendMessage: ThreadActor._append,
    commands.ListMessages: ThreadActor._list,
    commands.GetMessage: ThreadActor._get,
    commands.ModifyMessage: ThreadActor._modify,
    commands.DeleteMessage: ThreadActor._delete,
    commands.ModifyThread: ThreadActor._modify_thread,
    commands.DeleteThread: ThreadActor._delete_thread,
    commands.Compact: ThreadActor._compact,
    sealed.AppendSealed: ThreadActor._append_sealed,
    sealed.ListSealedMessages: ThreadActor._list,
    sealed.GetSealedMessage: ThreadActor._get,
    sealed.ReplaceKey: ThreadActor._replace_key,
}
"""What is done for each command."""
