"""Pages and parts of pages, from templates that escape whatever they are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ragen_actor.dashboard.shown import shown


class Pages:
    """Renders templates; each is read and compiled once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("ragen_actor.dashboard"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.policies["json.dumps_kwargs"] = {}  # Names stay in their order.
        self._environment.filters["shown"] = shown
        self._environment.filters["iso"] = iso
        self._environment.filters["utc"] = utc

    def response(
        self,
        template: str,
        values: Mapping[str, object],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Return a template as an answer.

        Args:
            template: Its name.
            values: What the template names; a name that is missing is an error.
            status: HTTP's.
            headers: Further ones.
        """
        text = self._environment.get_template(template).render(values)
        return web.Response(
            status=status, text=text, content_type="text/html", charset="utf-8", headers=headers
        )


def iso(seconds: int) -> str:
    """Return a time as machines read it, in UTC."""
    return _time(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(seconds: int) -> str:
    """Return a time as people read it, until the page puts it in their own."""
    return _time(seconds).strftime("%Y-%m-%d %H:%M UTC")


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), 253_402_300_799), UTC)
