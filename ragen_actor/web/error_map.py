"""THE TABLE: what each failure is called in HTTP, and the body that tells it."""

from __future__ import annotations

from math import ceil

import msgspec

from ragen_actor import errors
from ragen_actor.web import routes
from ragen_actor.web.body import BodyTooLarge, BodyTooSlow, UnsupportedEncoding

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"

# error class -> status, type; the first class of an error's ancestry that stands here counts.
TABLE: dict[type[errors.RagenError], tuple[int, str]] = {
    errors.InvalidRequest: (400, INVALID_REQUEST),
    errors.Unauthenticated: (401, INVALID_REQUEST),
    errors.NotFound: (404, INVALID_REQUEST),
    routes.UnknownUrl: (404, INVALID_REQUEST),
    routes.WrongMethod: (405, INVALID_REQUEST),
    BodyTooSlow: (408, INVALID_REQUEST),
    BodyTooLarge: (413, INVALID_REQUEST),
    UnsupportedEncoding: (415, INVALID_REQUEST),
    errors.RateLimited: (429, "requests"),
    errors.Damaged: (500, SERVER_ERROR),
    errors.StorageFailed: (500, SERVER_ERROR),
    errors.Unavailable: (503, SERVER_ERROR),
    errors.RagenError: (500, SERVER_ERROR),
}


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Body(msgspec.Struct):
    error: _Error


_encode = msgspec.json.Encoder().encode


def status_and_type(error: errors.RagenError) -> tuple[int, str]:
    """Look an error up in the table."""
    return next(TABLE[each] for each in type(error).__mro__ if each in TABLE)


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> bytes:
    """Return an error in OpenAI's shape."""
    return _encode(_Body(_Error(message, kind, param, code)))


def error_headers(error: errors.RagenError) -> dict[str, str]:
    """Return the headers that tell a client what to do about an error."""
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case routes.WrongMethod():
            return {"Allow": ", ".join(error.allowed)}
        case errors.OutcomeUnknown():
            return {"x-should-retry": "false"}
        case errors.Refused():
            wait_ms = error.retry_after_ms
            return {
                "retry-after": str(max(1, ceil(wait_ms / 1000))),
                "retry-after-ms": f"{wait_ms:g}",
            }
    return {}
