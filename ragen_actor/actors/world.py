"""What every actor needs from outside itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ragen_actor.actors.watching import Watchers
from storage import Storage

if TYPE_CHECKING:
    from ragen_actor.actors.actor import Actor


class Clock(Protocol):
    """The time of day."""

    def __call__(self) -> float:
        """Return Unix seconds."""


@dataclass(frozen=True, slots=True)
class World:
    """What every actor needs from outside itself.

    Attributes:
        storage: Where everything is kept.
        clock: Unix seconds.
        random: Returns that many random bits.
        commands_max: Of one actor's mailbox.
        page_bytes_max: A page ends before it passes this; one object always fits.
        watchers: Who is told what was committed.
        grown: Called when an actor may take more memory than before.
    """

    storage: Storage
    clock: Clock
    random: Callable[[int], int]
    commands_max: int
    page_bytes_max: int
    watchers: Watchers
    grown: Callable[[Actor], None]
