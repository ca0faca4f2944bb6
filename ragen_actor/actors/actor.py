"""What a thread's actor and a catalogue's actor have in common: a life, a mailbox, a log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto

import msgspec

from ragen_actor import schema
from ragen_actor.actors import sealed
from ragen_actor.actors.commands import Command, Compact
from ragen_actor.actors.mailbox import Envelope, Mailbox, Reply
from ragen_actor.actors.seam import translated, worded
from ragen_actor.actors.world import World
from ragen_actor.errors import RagenError, Unavailable
from storage import Cut, Place, RecordLog, StorageError, payload, whole
from storage.append import Append

_TENDED_EVERY = 64
"""Records after which it is seen whether the log needs anything."""
_RESIDENT_BYTES = 3072
"""What an actor takes in memory besides its log."""


class State(Enum):
    """Where an actor is in its life."""

    ACTIVATING = auto()
    """Its log is being opened; commands wait."""
    ACTIVE = auto()
    """It answers."""
    STOPPED = auto()
    """It was let go, or what it owned is no more; it answers nothing."""


class Actor:
    """The one owner of a log.

    Attributes:
        state: Where it is in its life.
        log: What it owns; there is none before it is active.
        mailbox: What it was asked and has not answered.
        used_at: When it was last asked, seconds on the event loop's clock.
        accounted_bytes: What the registry has booked for it.
    """

    __slots__ = (
        "_beginning",
        "_loop",
        "_tended",
        "accounted_bytes",
        "log",
        "mailbox",
        "state",
        "used_at",
        "world",
    )

    log: RecordLog

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = State.ACTIVATING
        self.mailbox = Mailbox(world.commands_max)
        self.used_at = 0.0
        self.accounted_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._beginning = False
        self._tended = 0

    @property
    def memory_bytes(self) -> int:
        """What keeping it resident costs, in bytes."""
        return _RESIDENT_BYTES + (self.log.memory_bytes if self.state is State.ACTIVE else 0)

    @property
    def is_idle(self) -> bool:
        """Tell whether it can be let go without anybody noticing."""
        return self.state is State.ACTIVE and self.mailbox.is_empty and not self.log.compacting

    def ask(self, command: Command) -> asyncio.Future[bytes]:
        """Accept a command; the future holds the body of the answer, or a `RagenError`.

        Raises:
            Unavailable: The mailbox is full.
        """
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self.tell(command, reply)
        return reply

    def tell(self, command: Command, reply: Reply) -> None:
        """Accept a command, whose answer goes to `reply`, maybe before this returns.

        Raises:
            Unavailable: The mailbox is full.
        """
        assert self.state is not State.STOPPED
        mailbox = self.mailbox
        if len(mailbox.waiting) + mailbox.begun >= mailbox.commands_max:
            raise Unavailable("Too many requests for this thread are waiting. Please try again.")
        envelope = Envelope(command, reply)
        if (
            mailbox.waiting
            or self._beginning
            or self.state is not State.ACTIVE
            or not self._may_begin(command)
        ):
            mailbox.waiting.append(envelope)
            self._drain()
            return
        self._try(envelope)
        if mailbox.waiting:
            self._drain()

    def stop(self, error: RagenError) -> None:
        """Answer all that has not begun with an error, and nothing ever again."""
        self.state = State.STOPPED
        while self.mailbox.waiting:
            self.mailbox.waiting.popleft().fail(error)

    def passivate(self) -> None:
        """Leave; the next ask brings another actor for the same log."""
        assert self.is_idle
        self.world.storage.leave(self.log)
        self.state = State.STOPPED

    def _tend(self) -> None:
        """See to what the log needs now and then, and to the room that it takes."""
        self._tended = self.log.index.records
        self.world.storage.tend(self.log)
        self.world.grown(self)

    def _added(self) -> None:
        """Tend the log now and then: a batch may pass over any multiple before its answers."""
        if not 0 <= self.log.index.records - self._tended < _TENDED_EVERY:
            self._tend()

    def _activate(self) -> None:
        self.state = State.ACTIVE
        self._drain()

    def _drain(self) -> None:
        """Begin every command that may begin now, in the order in which they came."""
        if self._beginning:
            return
        waiting = self.mailbox.waiting
        while waiting and self.state is State.ACTIVE and self._may_begin(waiting[0].command):
            envelope = waiting.popleft()
            if envelope.reply.done():
                continue
            self._try(envelope)

    def _try(self, envelope: Envelope) -> None:
        """Begin a command; whatever goes wrong is the asker's answer, and its end."""
        self.mailbox.begun += 1
        self._beginning = True
        try:
            self._begin(envelope)
        except Exception as error:
            self._fail(envelope, worded(error, type(envelope.command).__name__))
        finally:
            self._beginning = False

    def _may_begin(self, command: Command) -> bool:
        """Tell whether nothing on its way forbids a command to be checked and planned now."""
        raise NotImplementedError

    def _is_held(self, log: RecordLog) -> bool:
        """Tell whether nothing may begin on a log now; if so, go on when it may."""
        if log.held:
            log.when_released(self._drain)
        return log.held

    def _begin(self, envelope: Envelope) -> None:
        """Answer a command, or start what will."""
        raise NotImplementedError

    def _compact(self, envelope: Envelope, command: Compact) -> None:
        """Have the log rewritten; other commands go on meanwhile."""
        self.world.storage.upkeep.shrink(
            self.log,
            lambda saved: self._answer(envelope, msgspec.json.encode(saved)),
            now=command.now,
        )

    def _changed(self, key: int) -> None:
        """Let others change the object that a command has changed, or was about to."""

    def _answer(self, envelope: Envelope, body: bytes) -> None:
        self.mailbox.begun -= 1
        if envelope.changes is not None:
            self._changed(envelope.changes)
        reply = envelope.reply
        if not reply.done():
            reply.set_result(body)
        if self.mailbox.waiting:
            self._drain()

    def _fail(self, envelope: Envelope, error: RagenError) -> None:
        self.mailbox.begun -= 1
        if envelope.changes is not None:
            self._changed(envelope.changes)
        envelope.fail(error)
        if self.mailbox.waiting:
            self._drain()

    def _read(
        self,
        envelope: Envelope,
        source: RecordLog,
        place: Place,
        then: Callable[[list[bytes]], None],
        cut: Cut = payload,
    ) -> None:
        """Go on with the object at a place: at once when it is in memory, else later.

        With `whole` as `cut` it is the line, with what is sealed in it.
        """
        self._await(envelope, source, self.world.storage.read(source, (place,), cut), then)

    def _answer_page(
        self, envelope: Envelope, positions: range, *, more: bool, is_sealed: bool
    ) -> None:
        """Answer with the objects at these positions of the log's index, as `_read` does.

        Args:
            envelope: Who asked.
            positions: In the order asked for.
            more: Whether more lie in the direction of travel.
            is_sealed: Whether what is sealed goes with them.
        """
        cut: Cut = payload
        render: Callable[[list[bytes], bool], bytes] = schema.render_page
        if is_sealed:
            cut, render = whole, sealed.render_page
        found = self.world.storage.read_page(self.log, positions, cut)
        self._await(
            envelope, self.log, found, lambda objects: self._answer(envelope, render(objects, more))
        )

    def _await(
        self,
        envelope: Envelope,
        source: RecordLog,
        found: list[bytes] | asyncio.Future[list[bytes]],
        then: Callable[[list[bytes]], None],
    ) -> None:
        if isinstance(found, list):
            then(found)
            return
        source.reading += 1
        found.add_done_callback(lambda done: self._have_read(envelope, source, done, then))

    def _have_read(
        self,
        envelope: Envelope,
        source: RecordLog,
        done: asyncio.Future[list[bytes]],
        then: Callable[[list[bytes]], None],
    ) -> None:
        try:
            then(done.result())
        except Exception as error:
            self._fail(envelope, worded(error, type(envelope.command).__name__))
        source.reading -= 1
        source.look_quiet()

    def _commit(
        self, envelope: Envelope, appends: Sequence[Append], then: Callable[[], None]
    ) -> None:
        """Go on once these lines are durable.

        Raises:
            StorageError: They cannot be taken now, or not at once.
        """

        def done(error: StorageError | None) -> None:
            if error is not None:
                self._fail(envelope, translated(error))
                return
            try:
                then()
            except Exception as fault:
                self._fail(envelope, worded(fault, type(envelope.command).__name__))

        self.world.storage.commit(appends, done)
