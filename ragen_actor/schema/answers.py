"""Answers beside the objects themselves: pages of them, what a delete returns, and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

_ID_AT: Final = len(b'{"id":"')

_EMPTY_PAGE: Final = {
    more: b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":%b}' % word
    for more, word in ((False, b"false"), (True, b"true"))
}


def render_page(items: Sequence[bytes], has_more: bool) -> bytes:
    """Return a page around objects that `encode` wrote; none of them is decoded or checked.

    Args:
        items: The objects in the order asked for; each begins with `{"id":"`.
        has_more: Whether more follow in that direction.
    """
    if not items:
        return _EMPTY_PAGE[has_more]
    return b'{"object":"list","data":[%b],"first_id":"%b","last_id":"%b","has_more":%b}' % (
        b",".join(items),
        _id_of(items[0]),
        _id_of(items[-1]),
        b"true" if has_more else b"false",
    )


def _id_of(item: bytes) -> bytes:
    return item[_ID_AT : item.index(b'"', _ID_AT)]


def deleted_thread(thread_id: str) -> bytes:
    """Return the answer to a thread's delete; the id is a well-formed one."""
    return b'{"id":"%b","object":"thread.deleted","deleted":true}' % thread_id.encode()


def deleted_message(message_id: str) -> bytes:
    """Return the answer to a message's delete; the id is a well-formed one."""
    return b'{"id":"%b","object":"thread.message.deleted","deleted":true}' % message_id.encode()


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Body(msgspec.Struct):
    error: _Error


_encode = msgspec.json.Encoder().encode


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> bytes:
    """Return an error in OpenAI's shape."""
    return _encode(_Body(_Error(message, kind, param, code)))
