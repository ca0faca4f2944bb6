"""Signing in and out: from an API key to a cookie that stands for it, and back to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote

from aiohttp import web

from ragen_actor.dashboard import protection
from ragen_actor.dashboard.attempts import Attempts
from ragen_actor.dashboard.pages import Pages
from ragen_actor.dashboard.paths import ROOT, is_below
from ragen_actor.dashboard.sessions import TOKEN_BYTES, Session, Sessions
from ragen_actor.keyring import Keyring
from ragen_actor.web.access import AccessLog
from ragen_actor.web.body import Bodies, BodyTooLarge

FORM_BYTES_MAX = 8192
SIGN_IN = ROOT + "/sign-in"
SIGN_OUT = ROOT + "/sign-out"
_FORM_SECONDS = 3600


class Signing:
    """The two doors of a session.

    Args:
        keyring: The keys in force.
        sessions: Where sessions begin and end.
        attempts: How often one may try.
        projects: Those whose keys may sign in; empty for all.
        bodies: Reads the forms.
        clients: Knows a client's address, and whether it came by TLS, behind which proxy ever.
        pages: Renders the form.
        random: Returns that many random bytes.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        sessions: Sessions,
        attempts: Attempts,
        projects: tuple[str, ...],
        bodies: Bodies,
        clients: AccessLog,
        pages: Pages,
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keyring = keyring
        self._sessions = sessions
        self._attempts = attempts
        self._projects = projects
        self._bodies = bodies
        self._clients = clients
        self._pages = pages
        self._random = random
        self._clock = clock

    def session(self, request: web.BaseRequest) -> Session | None:
        """Return the session of a request, used now; None if nobody is signed in."""
        token = request.cookies.get(_cookie("session", request), "")
        return self._sessions.find(token) if token else None

    def redirect(self, wanted: str) -> web.Response:
        """Send somebody to sign in, and then on to the path they wanted."""
        return _see_other(f"{SIGN_IN}?next={quote(wanted, safe='/')}")

    async def sign_in(self, request: web.BaseRequest, fields: dict[str, str]) -> web.Response:
        """Show the form, or take what was filled in."""
        if request.method in ("GET", "HEAD"):
            wanted = _own_path(fields.get("next", ""))
            if self.session(request) is not None:
                return _see_other(wanted)
            return self._form(request, wanted)
        if protection.is_foreign(request):
            return self._form(request, ROOT, "Sign in on this page.", status=403)
        address = self._address(request)
        wait = self._attempts.take(address, self._clock())
        if wait:
            text = f"Too many attempts. Try again in {max(1, round(wait))} seconds."
            response = self._form(request, ROOT, text, status=429)
            response.headers["Retry-After"] = str(max(1, round(wait)))
            return response
        sent = await self._fields(request)
        wanted = _own_path(sent.get("next", ""))
        expected = request.cookies.get(_cookie("sign-in", request), "")
        if not expected or not protection.matches(sent.get("form", ""), expected):
            text = "This page was too old. Please try again."
            return self._form(request, wanted, text, status=403)
        key = self._keyring.find(sent.get("key", "").strip())
        if key is None or (self._projects and key.project not in self._projects):
            text = "No such key is in force, or it may not sign in here."
            return self._form(request, wanted, text, status=401)
        self._attempts.forgive(address)
        response = _see_other(wanted)
        self._set(request, response, "session", self._sessions.begin(key), None)
        self._set(request, response, "sign-in", "", 0)
        return response

    async def sign_out(self, request: web.BaseRequest, session: Session | None) -> web.Response:
        """End the session, if the request comes from one of its own pages."""
        sent = await self._fields(request)
        if session is not None and protection.matches(sent.get("csrf", ""), session.csrf):
            self._sessions.end(request.cookies[_cookie("session", request)])
        response = _see_other(SIGN_IN)
        self._set(request, response, "session", "", 0)
        return response

    def _form(
        self, request: web.BaseRequest, wanted: str, trouble: str = "", *, status: int = 200
    ) -> web.Response:
        # Whoever sends the form shows that this browser loaded it: nobody is signed in by others.
        form = request.cookies.get(_cookie("sign-in", request), "")
        if len(form) != 2 * TOKEN_BYTES or not form.isalnum():
            form = self._random(TOKEN_BYTES).hex()
        response = self._pages.response(
            "sign_in.html", {"wanted": wanted, "form": form, "trouble": trouble}, status=status
        )
        self._set(request, response, "sign-in", form, _FORM_SECONDS)
        return response

    async def _fields(self, request: web.BaseRequest) -> dict[str, str]:
        room = self._bodies.take_room(request)
        try:
            if room > FORM_BYTES_MAX:
                raise BodyTooLarge(FORM_BYTES_MAX)
            body = await self._bodies.read(request)
        finally:
            self._bodies.give_back(room)
        return single(body.decode("utf-8", "replace"))

    def _set(
        self,
        request: web.BaseRequest,
        response: web.Response,
        name: str,
        value: str,
        seconds: int | None,
    ) -> None:
        response.set_cookie(
            _cookie(name, request),
            value,
            max_age=seconds,
            path=ROOT,
            secure=self._clients.came_by_tls(request),
            httponly=True,
            samesite="Strict",
        )

    def _address(self, request: web.BaseRequest) -> str:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        return self._clients.client(request.remote, forwarded)


def single(query: str) -> dict[str, str]:
    """Return the fields of a query or a form, of each name the last; no more than 100."""
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}


def _cookie(name: str, request: web.BaseRequest) -> str:
    """Name a cookie: browsers do not tell ports apart, and two servers may run on one machine."""
    own = None if request.transport is None else request.transport.get_extra_info("sockname")
    return f"ragen-{name}-{own[1] if own else 0}"


def _own_path(wanted: str) -> str:
    """Return where to go after signing in: a page of the dashboard, whatever was asked for."""
    path = wanted.partition("?")[0]
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted and "//" not in wanted
    return wanted if plain and is_below(path) and not path.startswith(SIGN_IN) else ROOT


def _see_other(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
