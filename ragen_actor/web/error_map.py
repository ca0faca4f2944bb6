"""THE TABLE: what each failure is called in HTTP, and the headers that go with it."""

from __future__ import annotations

from math import ceil

from ragen_actor import errors
from ragen_actor.schema.answers import error_body
from ragen_actor.web import routes
from ragen_actor.web.body import BodyTooLarge, BodyTooSlow, UnsupportedEncoding

__all__ = [
    "INVALID_REQUEST",
    "SERVER_ERROR",
    "TABLE",
    "error_body",
    "error_headers",
    "status_and_type",
]

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
    errors.NotConfigured: (501, SERVER_ERROR),
    errors.UpstreamFailed: (502, SERVER_ERROR),
    errors.Unavailable: (503, SERVER_ERROR),
    errors.UpstreamTooSlow: (504, SERVER_ERROR),
    errors.RagenError: (500, SERVER_ERROR),
}


def status_and_type(error: errors.RagenError) -> tuple[int, str]:
    """Look an error up in the table."""
    return next(TABLE[each] for each in type(error).__mro__ if each in TABLE)


def error_headers(error: errors.RagenError) -> dict[str, str]:
    """Return the headers that tell a client what to do about an error."""
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case routes.WrongMethod():
            return {"Allow": ", ".join(error.allowed)}
        case errors.OutcomeUnknown() | errors.NotConfigured():
            return {"x-should-retry": "false"}
        case errors.Refused():
            wait_ms = error.retry_after_ms
            return {
                "retry-after": str(max(1, ceil(wait_ms / 1000))),
                "retry-after-ms": f"{wait_ms:g}",
            }
    return {}
