"""Which records of a log a list query asks for."""

from __future__ import annotations

from collections.abc import Callable

from ragen_actor import schema
from ragen_actor.errors import InvalidRequest
from storage import RecordLog


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
    after, before = query.after, query.before
    return index.page(
        limit=query.limit,
        ascending=query.order == "asc",
        after=None if after is None else _key("after", after, key_of, index.last_key),
        before=None if before is None else _key("before", before, key_of, index.last_key),
        bytes_max=bytes_max,
    )


def _key(param: str, cursor: str, key_of: Callable[[str], int | None], last_key: int) -> int:
    key = key_of(cursor)
    if key is None or key > last_key:
        raise InvalidRequest(
            f"Invalid '{param}': '{cursor}' was never part of this list.",
            param=param,
            code="invalid_value",
        )
    return key
