"""A thread's entry in its organisation's catalogue, which its own actor alone changes."""

from __future__ import annotations

from ragen_actor import schema
from ragen_actor.actors.actor import Actor
from ragen_actor.actors.commands import ModifyThread
from ragen_actor.actors.mailbox import Envelope
from ragen_actor.actors.sealed import ReplaceKey
from ragen_actor.actors.turns import after_change, thread_too_long
from ragen_actor.actors.watching import Kind
from ragen_actor.actors.world import World
from ragen_actor.errors import ThreadNotFound
from storage import CatalogLog, Place, RecordError, halves, whole

THREAD = 0
"""Stands for the thread itself among the keys of its messages, which begin at 1."""


class Entry(Actor):
    """An actor that owns one thread's entry: the thread as it is served, and its wrapped key.

    Args:
        world: What is outside.
        org: The organisation that owns the thread.
        thread_id: A native id.
    """

    __slots__ = ("_catalog", "_changing", "_key", "org", "thread_id")

    def __init__(self, world: World, org: str, thread_id: str) -> None:
        super().__init__(world)
        self.org = org
        self.thread_id = thread_id
        self._catalog: CatalogLog
        self._key = schema.thread_key(thread_id) or 0
        self._changing: set[int] = set()

    def _modify_thread(self, envelope: Envelope, command: ModifyThread) -> None:
        def found(lines: list[bytes]) -> None:
            data, key = halves(lines[0])
            changed = after_change(data, command.change)
            if changed is data:
                self._answer(envelope, data)
            else:
                self._replace_entry(envelope, changed, key, changed)

        self._change(envelope, THREAD)
        self._read(envelope, self._catalog, self._own_place(), found, whole)

    def _replace_key(self, envelope: Envelope, command: ReplaceKey) -> None:
        def found(lines: list[bytes]) -> None:
            data, present = halves(lines[0])
            if present != command.expected:
                self._answer(envelope, b"false")
            else:
                self._replace_entry(envelope, data, command.key, b"true")

        self._change(envelope, THREAD)
        self._read(envelope, self._catalog, self._own_place(), found, whole)

    def _replace_entry(self, envelope: Envelope, data: bytes, key: bytes, answer: bytes) -> None:
        """Give the thread a new version of its catalogue line, its key included."""
        catalog = self._catalog
        try:
            append = catalog.replace(catalog.next_number, data, key)
        except RecordError as error:
            raise thread_too_long() from error

        def committed() -> None:
            self.world.storage.tend(catalog)
            self._announce("thread-changed")
            self._answer(envelope, answer)

        self._commit(envelope, (append,), committed)

    def _change(self, envelope: Envelope, key: int) -> None:
        """Keep other changes of the same object waiting until this one has ended."""
        envelope.changes = key
        self._changing.add(key)

    def _announce(self, kind: Kind, message_id: str = "") -> None:
        """Let whoever watches know what was committed."""
        self.world.watchers.announce(self.org, kind, self.thread_id, message_id)

    def _own_place(self) -> Place:
        place = self._catalog.place(self._key)
        if place is None:
            raise ThreadNotFound(self.thread_id)
        return place
