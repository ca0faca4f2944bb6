"""What a request may hold at most; lengths are in characters (code points), not bytes.

Source: OpenAI openapi.json (createThread, createMessage), but for the lines marked ours.
"""

from __future__ import annotations

from typing import Final

METADATA_PAIRS_MAX: Final = 16
METADATA_KEY_LENGTH_MAX: Final = 64
METADATA_VALUE_LENGTH_MAX: Final = 512

TEXT_LENGTH_MAX: Final = 256_000

TITLE_LENGTH_MAX: Final = 256
"""Ours: OpenAI's threads have no title."""

IDENTIFIER_LENGTH_MAX: Final = 256
"""Ours: the ids of files and vector stores, which nothing here looks up."""

URL_LENGTH_MAX: Final = 1_048_576
"""Ours: an image's address."""

CONTENT_PARTS_MAX: Final = 512
"""Ours, as are the next three: each bounds the work that one body can ask for."""

ATTACHMENTS_MAX: Final = 512
ATTACHMENT_TOOLS_MAX: Final = 16
METADATA_CHANGE_PAIRS_MAX: Final = 512

ASSISTANT_ID_LENGTH_MAX: Final = 256
"""Ours, so that the 404 that quotes an unknown assistant stays short."""

CODE_INTERPRETER_FILES_MAX: Final = 20
VECTOR_STORES_MAX: Final = 1

LIST_LIMIT_MAX: Final = 100
LIST_LIMIT_DEFAULT: Final = 20
