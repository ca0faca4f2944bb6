"""The owner of one thread: its messages, its changes, its end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ragen_actor import schema
from ragen_actor.actors import commands
from ragen_actor.actors.actor import Actor, World, page
from ragen_actor.actors.commands import Command
from ragen_actor.actors.mailbox import Envelope
from ragen_actor.actors.turns import after_change, thread_too_long, too_long, turn
from ragen_actor.actors.watching import Kind
from ragen_actor.errors import MessageNotFound, ThreadNotFound
from storage import CatalogLog, Place, RecordError, ThreadLog, Tombstone

_TENDED_EVERY = 64
"""Appends after which it is seen whether the log needs anything."""
_INDEPENDENT = frozenset((commands.AppendMessage, commands.ListMessages, commands.GetMessage))
"""What needs no other command's end."""
_THREAD = 0
"""Stands for the thread itself among the keys of its messages, which begin at 1."""
_ID = slice(7, 43)
"""Where a stored message has its id."""


class ThreadActor(Actor):
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

    def __init__(
        self, world: World, org: str, thread_id: str, deleted: Callable[[ThreadActor], None]
    ) -> None:
        super().__init__(world)
        self._deleted = deleted
        self.org = org
        self.thread_id = thread_id
        self._log: ThreadLog
        self._catalog: CatalogLog
        self._key = schema.thread_key(thread_id) or 0
        self._changing: set[int] = set()
        self._deleting = False
        self._doubtful = False
        self._last_ms = 0
        self._tended = 0

    def activate(self, log: ThreadLog, catalog: CatalogLog) -> None:
        """Begin to answer."""
        self._log = log
        self._catalog = catalog
        # The thread's own creation time is in its key: no message is older than that.
        self._last_ms = max(log.index.last_ms, self._key >> 16)
        self._tended = log.index.records
        self.world.storage.tend(log)
        self._activate()

    @property
    def log(self) -> ThreadLog:
        """The thread's messages."""
        return self._log

    def _may_begin(self, command: Command) -> bool:
        if self._deleting or (self._log.held and self._is_held(self._log)):
            return False
        if type(command) in _INDEPENDENT:
            return True
        if isinstance(command, commands.ModifyThread | commands.DeleteThread) and self._is_held(
            self._catalog
        ):
            return False
        match command:
            case commands.ModifyMessage(message_id=message_id):
                return schema.message_sequence(message_id) not in self._changing
            case commands.DeleteMessage(message_id=message_id):
                return schema.message_sequence(message_id) not in self._changing
            case commands.ModifyThread():
                return _THREAD not in self._changing
            case commands.DeleteThread():
                return not self.mailbox.begun
        return True

    def _begin(self, envelope: Envelope) -> None:
        if self._doubtful:
            self._own_place()
        match envelope.command:
            case commands.AppendMessage(message=message):
                self._append(envelope, message)
            case commands.ListMessages(query=query):
                self._list(envelope, query)
            case commands.GetMessage(message_id=message_id):
                self._get(envelope, message_id)
            case commands.ModifyMessage(message_id=message_id, change=change):
                self._modify(envelope, message_id, change)
            case commands.DeleteMessage(message_id=message_id):
                self._delete(envelope, message_id)
            case commands.ModifyThread(change=change):
                self._modify_thread(envelope, change)
            case commands.DeleteThread():
                self._delete_thread(envelope)
            case commands.Compact(now=now):
                self._compact(envelope, now)
            case other:
                raise TypeError(f"no thread answers {other!r}")

    def _append(self, envelope: Envelope, message: schema.NewMessage) -> None:
        world = self.world
        self._last_ms = ms = max(int(world.clock() * 1000), self._last_ms)
        log = self._log
        sequence = log.next_sequence
        data = turn(self.thread_id, message, ms=ms, sequence=sequence, random=world.random(48))
        try:
            append = log.add(sequence, data)
        except RecordError as error:
            raise too_long() from error

        def committed() -> None:
            # A batch may pass over any multiple: it is settled as a whole before its answers.
            if not 0 <= log.index.records - self._tended < _TENDED_EVERY:
                self._tended = log.index.records
                world.storage.tend(log)
            if world.watchers:
                world.watchers.tell(self.org, "turn-added", self.thread_id, data[_ID].decode())
            self._answer(envelope, data)

        self._commit(envelope, (append,), committed)

    def _list(self, envelope: Envelope, query: schema.ListQuery) -> None:
        places, more = page(self.log, query, schema.message_sequence, self.world.page_bytes_max)
        if query.run_id is not None:
            # Turns stored by hand belong to no run, and there are no others yet.
            places, more = [], False
        self._read(
            envelope,
            self._log,
            places,
            lambda found: self._answer(envelope, schema.render_page(found, more)),
        )

    def _get(self, envelope: Envelope, message_id: str) -> None:
        place = self._place(message_id)

        def found(objects: list[bytes]) -> None:
            self._answer(envelope, self._named(message_id, objects[0]))

        self._read(envelope, self.log, (place,), found)

    def _modify(self, envelope: Envelope, message_id: str, change: schema.ModifyMessage) -> None:
        place = self._place(message_id)

        def found(objects: list[bytes]) -> None:
            data = self._named(message_id, objects[0])
            message = schema.decode_message(data)
            if change.metadata is msgspec.UNSET:
                self._answer(envelope, data)
                return
            metadata = schema.merge_metadata(message.metadata, change.metadata)
            if metadata == message.metadata:
                self._answer(envelope, data)
                return
            changed = schema.encode(msgspec.structs.replace(message, metadata=metadata))
            try:
                append = self.log.replace(place[0], changed)
            except RecordError as error:
                raise too_long() from error

            def committed() -> None:
                self.world.storage.tend(self.log)
                self._tell("turn-changed", message_id)
                self._answer(envelope, changed)

            self._commit(envelope, (append,), committed)

        self._change(envelope, place[0])
        self._read(envelope, self.log, (place,), found)

    def _delete(self, envelope: Envelope, message_id: str) -> None:
        place = self._place(message_id)

        def found(objects: list[bytes]) -> None:
            self._named(message_id, objects[0])
            data = msgspec.json.encode(Tombstone(message_id, int(self.world.clock())))
            append = self.log.remove(place[0], data)

            def committed() -> None:
                self.world.storage.tend(self.log)
                self._tell("turn-deleted", message_id)
                self._answer(envelope, schema.deleted_message(message_id))

            self._commit(envelope, (append,), committed)

        self._change(envelope, place[0])
        self._read(envelope, self.log, (place,), found)

    def _modify_thread(self, envelope: Envelope, change: schema.ModifyThread) -> None:
        catalog = self._catalog

        def found(objects: list[bytes]) -> None:
            thread = schema.decode_thread(objects[0])
            changed = after_change(thread, change)
            if changed == thread:
                self._answer(envelope, objects[0])
                return
            data = schema.encode(changed)
            try:
                append = catalog.replace(catalog.next_number, data)
            except RecordError as error:
                raise thread_too_long() from error

            def committed() -> None:
                self.world.storage.tend(catalog)
                self._tell("thread-changed")
                self._answer(envelope, data)

            self._commit(envelope, (append,), committed)

        self._change(envelope, _THREAD)
        self._read(envelope, catalog, (self._own_place(),), found)

    def _delete_thread(self, envelope: Envelope) -> None:
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
            self._tell("thread-deleted")
            self._answer(envelope, schema.deleted_thread(self.thread_id))

        envelope.changes = _THREAD
        self._deleting = True
        self._commit(envelope, (append,), committed)

    def _tell(self, kind: Kind, message_id: str = "") -> None:
        self.world.watchers.tell(self.org, kind, self.thread_id, message_id)

    def _change(self, envelope: Envelope, key: int) -> None:
        """Keep other changes of the same object waiting until this one has ended."""
        envelope.changes = key
        self._changing.add(key)

    def _end(self, envelope: Envelope) -> None:
        super()._end(envelope)
        if envelope.changes is not None:
            self._changing.discard(envelope.changes)
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

    def _own_place(self) -> Place:
        place = self._catalog.place(self._key)
        if place is None:
            raise ThreadNotFound(self.thread_id)
        return place
