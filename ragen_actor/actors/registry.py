"""Who is resident: actors are called into being by the first ask and let go when nobody asks.

It is the registry that lets an actor go, not the actor, and never between two steps of a command:
it looks whether the actor is idle and forgets it without an `await` in between.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from ragen_actor import schema
from ragen_actor.actors.actor import Actor, State
from ragen_actor.actors.catalog_actor import CatalogActor
from ragen_actor.actors.commands import CatalogCommand, ThreadCommand
from ragen_actor.actors.limits import Limits
from ragen_actor.actors.mailbox import Reply
from ragen_actor.actors.sealed import GetSealedThread, read_page
from ragen_actor.actors.seam import worded
from ragen_actor.actors.thread_actor import ThreadActor
from ragen_actor.actors.watching import Watchers
from ragen_actor.actors.world import Clock, World
from ragen_actor.errors import RagenError, ThreadNotFound, Unavailable
from storage import Storage, ThreadLog

_SWEEP_SECONDS = 5.0
_SWEEP_SOON_SECONDS = 0.05
_SWEPT_MAX = 256
_DRAIN_LOOK_SECONDS = 0.005


@dataclass(slots=True)
class _Organisation:
    """What is resident of one organisation; its catalogue outstays its threads."""

    catalog: CatalogActor
    threads: dict[str, ThreadActor] = field(default_factory=dict)


class Registry:
    """Every resident actor, by organisation and thread. Its methods belong to the event loop.

    Attributes:
        resident_bytes: What all actors are booked with.
        watchers: Who is told what was committed, whichever actors are resident.
    """

    def __init__(
        self, storage: Storage, limits: Limits, *, clock: Clock, random: Callable[[int], int]
    ) -> None:
        self.watchers = Watchers()
        self._world = World(
            storage=storage,
            clock=clock,
            random=random,
            commands_max=limits.mailbox_commands_max,
            page_bytes_max=limits.page_bytes_max,
            watchers=self.watchers,
            grown=self._book,
        )
        self._limits = limits
        self._organisations: dict[str, _Organisation] = {}
        self._by_use: OrderedDict[Actor, None] = OrderedDict()
        self._activations: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self.resident_bytes = 0

    def __len__(self) -> int:
        """Count the resident actors."""
        return len(self._by_use)

    @property
    def trouble(self) -> str | None:
        """Why writes fail, or None."""
        return self._world.storage.trouble

    @property
    def is_closing(self) -> bool:
        """Tell whether no more asks are taken."""
        return self._closing

    def ask_catalog(self, org: str, command: CatalogCommand) -> asyncio.Future[bytes]:
        """Ask the owner of an organisation's catalogue; the future holds the answer's body.

        Raises:
            Unavailable: It is asked too much, or the server stops.
        """
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self.tell_catalog(org, command, reply)
        return reply

    def ask_thread(self, org: str, thread_id: str, command: ThreadCommand) -> asyncio.Future[bytes]:
        """Ask the owner of a thread; the future holds the answer's body.

        Raises:
            ThreadNotFound: The organisation has no such thread.
            Unavailable: It is asked too much, or the server stops.
        """
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self.tell_thread(org, thread_id, command, reply)
        return reply

    def tell_catalog(self, org: str, command: CatalogCommand, reply: Reply) -> None:
        """Ask the owner of an organisation's catalogue, and have it answer to `reply`.

        Raises:
            Unavailable: It is asked too much, or the server stops.
        """
        self._tell(self._organisation(org).catalog, command, reply)

    def tell_thread(self, org: str, thread_id: str, command: ThreadCommand, reply: Reply) -> None:
        """Ask the owner of a thread, and have it answer to `reply`, maybe before this returns.

        Raises:
            ThreadNotFound: The organisation has no such thread.
            Unavailable: It is asked too much, or the server stops.
        """
        organisation = self._organisation(org)
        actor = organisation.threads.get(thread_id)
        if actor is None:
            actor = self._wake(organisation, thread_id)
        self._tell(actor, command, reply)

    async def ask_in_passing(self, org: str, thread_id: str, command: ThreadCommand) -> bytes:
        """Ask a thread's owner, who leaves again if it was not there before; raises as it does."""
        organisation = self._organisation(org)
        was_there = thread_id in organisation.threads
        answer = await self.ask_thread(org, thread_id, command)
        actor = organisation.threads.get(thread_id)
        if actor is not None and not was_there:
            self._passivate(actor)
        return answer

    async def organisations(self) -> list[str]:
        """Name the organisations that have a folder, sorted."""
        return await self._world.storage.upkeep.organisations()

    def _tell(self, actor: Actor, command: CatalogCommand | ThreadCommand, reply: Reply) -> None:
        actor.tell(command, reply)
        if actor.state is not State.STOPPED:
            self._touch(actor)

    def _organisation(self, org: str) -> _Organisation:
        if self._closing:
            raise Unavailable("The server is shutting down. Please try again.")
        organisation = self._organisations.get(org)
        if organisation is None:
            catalog = CatalogActor(self._world, org, self._adopt)
            organisation = self._organisations[org] = _Organisation(catalog)
            self._start(self._activate_catalog(organisation))
        return organisation

    def _wake(self, organisation: _Organisation, thread_id: str) -> ThreadActor:
        catalog = organisation.catalog
        if schema.thread_key(thread_id) is None or (
            catalog.state is State.ACTIVE and not catalog.holds(thread_id)
        ):
            raise ThreadNotFound(thread_id)
        actor = self._enter(organisation, thread_id)
        self._start(self._activate_thread(organisation, actor))
        return actor

    def _start(self, activation: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(activation)
        self._activations.add(task)
        task.add_done_callback(self._activations.discard)

    async def _activate_catalog(self, organisation: _Organisation) -> None:
        catalog = organisation.catalog
        try:
            opened = await self._world.storage.open_catalog(catalog.org)
        except Exception as error:
            reason = worded(error, "waking a catalogue")
            del self._organisations[catalog.org]
            for actor in list(organisation.threads.values()):
                self._fail(organisation, actor, reason)
            self._forget(catalog)
            catalog.stop(reason)
            return
        catalog.activate(opened)
        self._touch(catalog)
        self._book(catalog)

    async def _activate_thread(self, organisation: _Organisation, actor: ThreadActor) -> None:
        thread_id = actor.thread_id
        try:
            # A read of the entry waits for the catalogue, and tells whether this is its thread.
            entry = await organisation.catalog.ask(GetSealedThread(thread_id))
            opened = await self._world.storage.open_thread(actor.org, thread_id)
        except Exception as error:
            self._fail(organisation, actor, worded(error, "waking a thread"))
        else:
            # Either is enough: a repair may have lost one of them.
            opened.sealed |= any(read_page(entry).sealed)
            actor.activate(opened, organisation.catalog.log)
            self._touch(actor)
            self._book(actor)

    def _adopt(self, org: str, thread_id: str, opened: ThreadLog) -> None:
        """Keep a new thread resident: whoever created it will write to it next."""
        organisation = self._organisations[org]
        actor = self._enter(organisation, thread_id)
        actor.activate(opened, organisation.catalog.log)
        self._touch(actor)

    def _enter(self, organisation: _Organisation, thread_id: str) -> ThreadActor:
        org = organisation.catalog.org
        actor = ThreadActor(self._world, org, thread_id, self._deleted)
        organisation.threads[thread_id] = actor
        return actor

    def _deleted(self, actor: ThreadActor) -> None:
        self._organisations[actor.org].threads.pop(actor.thread_id, None)
        self._forget(actor)

    def _fail(self, organisation: _Organisation, actor: ThreadActor, error: RagenError) -> None:
        organisation.threads.pop(actor.thread_id, None)
        self._forget(actor)
        actor.stop(error)

    def _touch(self, actor: Actor) -> None:
        """Note who was used last."""
        actor.used_at = self._loop.time()
        if actor in self._by_use:
            self._by_use.move_to_end(actor)
        else:
            self._by_use[actor] = None
            self._book(actor)

    def _book(self, actor: Actor) -> None:
        """Book what a resident actor takes, and make room if that is too much."""
        if actor not in self._by_use:
            return
        size = actor.memory_bytes
        self.resident_bytes += size - actor.accounted_bytes
        actor.accounted_bytes = size
        if self.resident_bytes > self._limits.resident_bytes_max:
            self._make_room()

    def _forget(self, actor: Actor) -> None:
        if self._by_use.pop(actor, actor) is None:
            self.resident_bytes -= actor.accounted_bytes
            actor.accounted_bytes = 0

    def _make_room(self) -> None:
        """Let the longest unused go; a few at a time, so that no ask pays for all."""
        for actor in list(self._oldest(8)):
            if self.resident_bytes > self._limits.resident_bytes_max:
                self._passivate(actor)

    def _oldest(self, count: int) -> list[Actor]:
        return [actor for actor, _ in zip(self._by_use, range(count), strict=False)]

    def _passivate(self, actor: Actor) -> bool:
        """Let an actor go if nobody would notice; say whether it went."""
        if actor.state is State.STOPPED:
            self._forget(actor)
            return True
        if not actor.is_idle:
            self._by_use.move_to_end(actor)
            return False
        if isinstance(actor, ThreadActor):
            actor.passivate()
            self._organisations[actor.org].threads.pop(actor.thread_id)
        elif isinstance(actor, CatalogActor):
            if self._organisations[actor.org].threads:
                self._by_use.move_to_end(actor)
                return False
            actor.passivate()
            del self._organisations[actor.org]
        self._forget(actor)
        return True

    def _sweep(self) -> None:
        """Let go who has been idle for long, a bounded number at a time."""
        horizon = self._loop.time() - self._limits.idle_seconds
        idle = [actor for actor in self._oldest(_SWEPT_MAX) if actor.used_at < horizon]
        for actor in idle:
            self._passivate(actor)
        pause = _SWEEP_SECONDS if len(idle) < _SWEPT_MAX else _SWEEP_SOON_SECONDS
        self._sweeper = self._loop.call_later(pause, self._sweep)

    async def close(self) -> None:
        """Take no more asks, wait for the answers to all that were accepted, let everyone go."""
        self._closing = True
        self._sweeper.cancel()
        while self._activations:
            await asyncio.wait(self._activations)
        while not all(each.mailbox.is_empty for each in self._by_use):
            await self._world.storage.settled()
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)
        for actor in sorted(self._by_use, key=lambda each: isinstance(each, CatalogActor)):
            self._passivate(actor)
