"""Which header fields pass, and which belong to one of the two connections alone."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from multidict import CIMultiDict

RawFields = Iterable[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"proxy-authenticate", b"proxy-authorization"),
    )
)
"""Source: RFC 9110, 7.6.1, with those that older ones name."""

_OURS_ALONE = frozenset(
    (
        # Who asks is known by our key, and no key of ours leaves this server.
        *(b"authorization", b"openai-organization", b"openai-project", b"cookie"),
        *(b"api-key", b"x-api-key", b"x-goog-api-key"),
        # Where a client sits and which page it shows is no business of the upstream's.
        *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port"),
        *(b"x-forwarded-proto", b"x-real-ip", b"origin", b"referer"),
        # Set anew, or answered here.
        *(b"host", b"expect"),
    )
)
_THEIRS_ALONE = frozenset(
    (
        # They speak about the upstream's address, which is not the one that the client called.
        *(b"set-cookie", b"set-cookie2", b"strict-transport-security", b"alt-svc", b"nel"),
        *(b"report-to", b"reporting-endpoints", b"clear-site-data", b"www-authenticate"),
        # Set anew.
        *(b"x-content-type-options", b"x-request-id", b"server"),
    )
)
_CROSS_ORIGIN = b"access-control-"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_VIA = "1.1 ragen-actor"


def to_upstream(fields: RawFields, api_key: str) -> CIMultiDict[str]:
    """Return the fields of a request as the upstream gets them.

    A field that is no UTF-8 is left out: the client library could not send it as it came. So is
    any that repeats our key.

    Args:
        fields: As the client sent them.
        api_key: The upstream's; empty if it asks for none.
    """
    fields = tuple(fields)
    tokens = {
        value.partition(b" ")[2].strip() for name, value in fields if name.lower() == _AUTHORIZATION
    }
    passing: CIMultiDict[str] = CIMultiDict()
    for name, value in _end_to_end(fields, _OURS_ALONE):
        if not any(token in value for token in tokens if token):
            try:
                passing.add(name.decode("ascii"), value.decode("utf-8"))
            except UnicodeDecodeError:
                continue
    passing.add("Via", _VIA)
    if api_key:
        passing["Authorization"] = f"Bearer {api_key}"
    return passing


def from_upstream(fields: RawFields, api_key: str) -> list[tuple[bytes, bytes]]:
    """Return the fields of an answer that the client gets, in their order.

    Args:
        fields: As the upstream sent them.
        api_key: The upstream's; a field that repeats it is left out, and so is one that holds a
            character which could end a line for some reader.
    """
    secret = api_key.encode()
    return [
        (name, value)
        for name, value in _end_to_end(tuple(fields), _THEIRS_ALONE)
        if not name.lower().startswith(_CROSS_ORIGIN)
        and not (secret and secret in value)
        and not _CONTROL.search(value)
    ]


_AUTHORIZATION = b"authorization"


def _end_to_end(
    fields: tuple[tuple[bytes, bytes], ...], one_sided: Container[bytes]
) -> Iterable[tuple[bytes, bytes]]:
    """Yield what is meant for the other end, without what Connection names."""
    named = {
        option.strip().lower()
        for name, value in fields
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    for name, value in fields:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and lower not in one_sided and lower not in named:
            yield name, value
