"""Text of others as it can be shown without deceiving: what turns it around or hides is named."""

from __future__ import annotations

from typing import Final

# Embeddings, overrides and isolates. Plain right-to-left letters need none of them; the two marks
# U+200E and U+200F, which real texts do need, move no letters but their neighbours'.
_TURNING: Final = (0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_NAMES: Final = {
    **{point: f"\u27e6U+{point:04X}\u27e7" for point in _TURNING},
    **{point: chr(0x2400 + point) for point in range(0x20) if chr(point) not in "\t\n\r"},
    0x7F: "\u2421",
}


def shown(text: str) -> str:
    """Return the text with each control character as a visible name.

    What only looks like another text stays a text: letters are not touched.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_NAMES)
