"""The query of a list: page size, order, cursors."""

from __future__ import annotations

import re
from typing import Final, Literal, cast
from urllib.parse import unquote_plus

from msgspec import Struct

from ragen_actor.schema import ids, limits, wording

Order = Literal["asc", "desc"]
_PREFIXES: Final = {"thread": "thread", "message": "msg"}
_LIMITS: Final = {str(limit): limit for limit in range(1, limits.LIST_LIMIT_MAX + 1)}
_INTEGER: Final = re.compile(r"(-?)0*([0-9]+)")


class ListQuery(Struct, frozen=True, gc=False):
    """What to list; of `after` and `before` at most one is there, and it is well formed."""

    limit: int = limits.LIST_LIMIT_DEFAULT
    order: Order = "desc"
    after: str | None = None
    before: str | None = None
    run_id: str | None = None


_NOTHING_ASKED: Final = ListQuery()


def parse_list_query(query: str, kind: ids.Kind) -> ListQuery:
    """Return what a raw query string asks for; unknown and repeated names do no harm.

    Of a name given twice the last value counts. Empty cursors and an empty run_id count as absent.

    Args:
        query: What follows the question mark, still percent-encoded.
        kind: Whose ids the cursors are.

    Raises:
        InvalidRequest: `limit`, `order`, `after` or `before` is at fault, and named as param.

    Source: OpenAI openapi.json, listMessages.
    """
    if not query:
        return _NOTHING_ASKED
    given = _fields(query)
    after, before = given.get("after") or None, given.get("before") or None
    if after is not None and before is not None:
        raise wording.exclusive("before", "after")
    if after is not None and not ids.is_well_formed(kind, after):
        raise wording.wrong_cursor("after", _PREFIXES[kind], after)
    if before is not None and not ids.is_well_formed(kind, before):
        raise wording.wrong_cursor("before", _PREFIXES[kind], before)
    limit, order = given.get("limit"), given.get("order", "desc")
    if order not in ("asc", "desc"):
        raise wording.wrong_value("order", order, ("asc", "desc"))
    return ListQuery(
        limit=limits.LIST_LIMIT_DEFAULT if limit is None else _LIMITS.get(limit) or _limit(limit),
        order=cast(Order, order),
        after=after,
        before=before,
        run_id=given.get("run_id") or None,
    )


def _fields(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    encoded = "%" in query or "+" in query
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if encoded:
            name, value = unquote_plus(name), unquote_plus(value)
        given[name] = value
    return given


def _limit(text: str) -> int:
    number = _INTEGER.fullmatch(text)
    if number is None:
        raise wording.wrong_type("limit", "an integer", text)
    sign, digits = number.groups()
    # int() refuses thousands of digits, and nothing of more than three can be in range.
    if sign or digits == "0":
        raise wording.low_integer("limit", 1, sign + digits if digits != "0" else "0")
    if len(digits) > 3 or int(digits) > limits.LIST_LIMIT_MAX:
        raise wording.high_integer("limit", limits.LIST_LIMIT_MAX, digits)
    return int(digits)
