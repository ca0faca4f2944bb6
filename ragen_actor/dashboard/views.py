"""What the templates show: a thread as a line of the list, a turn as people read it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ragen_actor.dashboard.shown import shown
from ragen_actor.schema.objects import ImageFilePart, ImageUrlPart, Part, TextPart
from ragen_actor.vault import ListedThread, Turn

MARKDOWN_CHARS_MAX: Final = 16_000
"""Characters of one turn that become Markdown; a text beyond that is shown as it was written."""

CLIP_CHARS: Final = 4_000
"""Characters of such a text that are shown until somebody asks for all of it."""

PARTS_MAX: Final = 64
"""Parts of a turn that are shown; one may hold 512."""

TITLE_CHARS_MAX: Final = 120
PICTURE_URL_CHARS_MAX: Final = 4_000
"""Of an address that can be shown in a frame; a request line has an end."""


class Row(Struct, frozen=True):
    """A line of the list.

    Attributes:
        id: The thread's.
        title: What it is called here, control characters named.
        titled: Whether somebody gave it that title.
        created_at: Unix seconds.
        encrypted: Whether it has a lock.
    """

    id: str
    title: str
    titled: bool
    created_at: int
    encrypted: bool


class Piece(Struct, frozen=True):
    """A part of a turn.

    Attributes:
        kind: `markdown` and `plain` are text, `picture` lies at an address that may be opened,
            `note` says in words what is not shown.
        text: The text, the address, or the words.
        hidden: Characters of the text that are not here.
    """

    kind: Literal["markdown", "plain", "picture", "note"]
    text: str
    hidden: int = 0


class TurnView(Struct, frozen=True):
    """A turn.

    Attributes:
        id: The message's.
        role: Who speaks.
        created_at: Unix seconds.
        pieces: What is said.
        clipped: Whether some of it is left out.
        metadata: Pairs.
        files: Ids of attached files.
        encrypted: Whether it lies on the disk as ciphertext.
        fault: Why it cannot be read, or None.
    """

    id: str
    role: str
    created_at: int
    pieces: tuple[Piece, ...]
    clipped: bool
    metadata: dict[str, str]
    files: tuple[str, ...]
    encrypted: bool
    fault: str | None


def row(listed: ListedThread, first_turn: Turn | None, *, damaged: bool = False) -> Row:
    """Return a thread as a line of the list.

    Args:
        listed: The thread.
        first_turn: Its oldest, for a title; None when it has none or that is not to be read.
        damaged: That turn cannot be read.
    """
    thread = listed.thread
    title = (thread.title or "").strip()
    titled = bool(title)
    if not titled and first_turn is not None and first_turn.fault is None:
        parts = first_turn.message.content
        text = next((part.text.value for part in parts if isinstance(part, TextPart)), "")
        title = " ".join(text[: 4 * TITLE_CHARS_MAX].split())
    if not title:
        plain = "Damaged thread" if damaged else "Empty thread"
        title = "Encrypted thread" if listed.encrypted else plain
    title = shown(title)
    if len(title) > TITLE_CHARS_MAX and not titled:
        title = title[:TITLE_CHARS_MAX] + "\u2026"
    return Row(thread.id, title, titled, thread.created_at, listed.encrypted)


def size(read: Turn) -> int:
    """Count the characters of a turn's texts."""
    parts = read.message.content
    return sum([len(part.text.value) for part in parts if isinstance(part, TextPart)])


def turn(read: Turn, *, whole: bool = False) -> TurnView:
    """Return a turn as it is shown.

    Args:
        read: As the vault read it.
        whole: Show all of it, however long.
    """
    message = read.message
    pieces: tuple[Piece, ...] = ()
    if read.fault is None:
        pieces = _pieces(message.content, whole=whole)
    return TurnView(
        id=message.id,
        role=message.role,
        created_at=message.created_at,
        pieces=pieces,
        clipped=any(piece.hidden for piece in pieces),
        metadata={shown(name): shown(value) for name, value in message.metadata.items()},
        files=tuple(shown(each.file_id) for each in message.attachments),
        encrypted=read.encrypted,
        fault=None if read.fault is None else read.fault.message,
    )


def _pieces(parts: tuple[Part, ...], *, whole: bool) -> tuple[Piece, ...]:
    pieces = []
    budget = MARKDOWN_CHARS_MAX
    for part in parts if whole else parts[:PARTS_MAX]:
        if isinstance(part, TextPart):
            piece = _text(part.text.value, budget, whole=whole)
            budget -= len(piece.text)
        else:
            piece = _picture(part)
        pieces.append(piece)
    beyond = 0 if whole else len(parts) - PARTS_MAX
    if beyond > 0:
        pieces.append(Piece("note", f"{beyond} more parts", hidden=beyond))
    return tuple(pieces)


def _text(text: str, budget: int, *, whole: bool) -> Piece:
    if len(text) <= budget:
        return Piece("markdown", shown(text))
    if whole or len(text) <= CLIP_CHARS:
        return Piece("plain", shown(text))
    return Piece("plain", shown(text[:CLIP_CHARS]), hidden=len(text) - CLIP_CHARS)


def _picture(part: ImageUrlPart | ImageFilePart) -> Piece:
    if isinstance(part, ImageFilePart):
        return Piece("note", f"Image, file {shown(part.image_file.file_id)}")
    url = shown(part.image_url.url)
    if is_picture_url(url):
        return Piece("picture", url)
    start = url if len(url) <= 80 else url[:80] + "\u2026"
    return Piece("note", f"Image at an address that is not opened: {start}")


def is_picture_url(url: str) -> bool:
    """Tell whether an address may be loaded when somebody asks to see it."""
    scheme, colon, rest = url.partition("://")
    return (
        bool(colon and rest)
        and scheme.lower() in ("http", "https")
        and len(url) <= PICTURE_URL_CHARS_MAX
        and url.isprintable()
        and " " not in url
    )
