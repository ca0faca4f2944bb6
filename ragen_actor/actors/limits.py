"""What bounds the actors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the actors.

    Attributes:
        mailbox_commands_max: Commands that one actor has accepted and not answered.
        idle_seconds: After which an actor that nobody asked is let go.
        resident_bytes_max: Above which the longest unused are let go.
        page_bytes_max: A page ends early before it passes this.
    """

    mailbox_commands_max: int = 1024
    idle_seconds: float = 300.0
    resident_bytes_max: int = 256 * 1024 * 1024
    page_bytes_max: int = 8 * 1024 * 1024
