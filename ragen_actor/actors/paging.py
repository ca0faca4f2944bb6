"""Which records of a log a list query asks for."""

from __future__ import annotations

from collections.abc import Callable

from ragen_actor import schema
from ragen_actor.errors import InvalidRequest
from storage import RecordLog

Render = Callable[[list[bytes], bool], bytes]
"""Makes a page of what was read, and of whether more follows."""


def page(
    source: RecordLog,
    query: schema.ListQuery,
    key_of: Callable[[str], int | None],
    bytes_max: int,
) -> tuple[range, bool]:
    """Choose what a list query asks for, as positions in the index, and whether more follow.

    Raises:
        InvalidRequest: A cursor names a place that the log never reached.
    """
    index = source.index
    keys: list[int | None] = []
    for param, cursor in (("after", query.after), ("before", query.before)):
        key = None if cursor is None else key_of(cursor)
        if cursor is not None and (key is None or key > index.last_key):
            raise InvalidRequest(
                f"Invalid '{param}': '{cursor}' was never part of this list.",
                param=param,
                code="invalid_value",
            )
        keys.append(key)
    return index.page(
        limit=query.limit,
        ascending=query.order == "asc",
        after=keys[0],
        before=keys[1],
        bytes_max=bytes_max,
    )
