"""What every answer of the dashboard forbids a browser to do."""

from __future__ import annotations

from hmac import compare_digest

from aiohttp import web

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    # Text becomes markup in two places only: our own fragments, and Markdown after its sanitizer.
    "require-trusted-types-for 'script'",
    "trusted-types ragen dompurify",
)
_PICTURE_POLICY = (
    "default-src 'none'",
    "img-src https: http:",
    "style-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'self'",
    "sandbox",
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Server": "ragen-actor",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PICTURE_HEADERS = {
    "Content-Security-Policy": "; ".join(_PICTURE_POLICY),
    "X-Frame-Options": "SAMEORIGIN",
}
"""Instead of the usual ones, for the frame that shows a picture from elsewhere and nothing else."""


def protect(response: web.StreamResponse) -> None:
    """Add the headers to an answer that has not begun; what it has already stays."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def is_foreign(request: web.BaseRequest) -> bool:
    """Tell whether a browser says that a page of another origin made this request.

    Source: W3C, Fetch Metadata Request Headers. They come over TLS and from loopback only, so
    their absence says nothing.
    """
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def matches(given: str, expected: str) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    return compare_digest(given.encode("utf-8", "replace"), expected.encode())
