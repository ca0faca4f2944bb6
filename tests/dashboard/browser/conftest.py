"""Real Chromium, driven by Playwright: `make test-dashboard`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Playwright,
    Request,
    Route,
    expect,
    sync_playwright,
)

from tests.dashboard.conftest import dashboard, elsewhere, owner
from tests.server_process import KeyOwner, ServerProcess
from tests.wire.http_call import Api

__all__ = ["dashboard", "elsewhere", "owner"]

expect.set_options(timeout=15_000)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


@dataclass
class Seen:
    """What a browser did besides showing pages.

    Attributes:
        errors: Scripts that failed, and what the browser refused.
        foreign: Addresses of other servers that it asked.
        expected: Parts of errors that a test brings about.
    """

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def unexpected(self) -> list[str]:
        return [each for each in self.errors if not any(part in each for part in self.expected)]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "make test-dashboard needs Chromium: apt-get install chromium"
    browser = playwright.chromium.launch(executable_path=path)
    yield browser
    browser.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Every flow is gone through in both."""
    return str(request.param)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def window(chromium: Browser, scheme: str, seen: Seen) -> Iterator[Callable[..., BrowserContext]]:
    """Open a window, which reaches this machine's server and a made-up one that has pictures."""
    opened: list[BrowserContext] = []

    def open_window(**options: object) -> BrowserContext:
        context = chromium.new_context(color_scheme=scheme, locale="en-GB", **options)  # type: ignore[arg-type]
        context.route("**/*", lambda route, request: elsewhere_or_here(route, request, seen))
        opened.append(context)
        return context

    yield open_window
    for context in opened:
        context.close()


def elsewhere_or_here(route: Route, request: Request, seen: Seen) -> None:
    if request.url.startswith("http://127.0.0.1:"):
        route.continue_()
        return
    seen.foreign.append(request.url)
    if request.url.startswith("https://pictures.example/"):
        route.fulfill(body=PIXEL, content_type="image/png")
    else:
        route.abort()


@pytest.fixture
def page(window: Callable[..., BrowserContext], seen: Seen) -> Iterator[Page]:
    """A page that must show no error, and run nothing that a message says."""
    opened = watched(window().new_page(), seen)
    yield opened
    if not opened.is_closed():
        assert opened.evaluate("window.pwned") is None
    assert seen.unexpected() == []


def watched(page: Page, seen: Seen) -> Page:
    """Note what goes wrong on a page."""

    def said(line: ConsoleMessage) -> None:
        if line.type == "error":
            seen.errors.append(line.text)

    def asked(dialog: Dialog) -> None:
        seen.errors.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", said)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("dialog", asked)
    return page


@pytest.fixture
def api(dashboard: ServerProcess, owner: KeyOwner) -> Api:
    return Api(dashboard, dashboard.keys[owner])


@pytest.fixture
def inside(page: Page, api: Api) -> Page:
    """A page on which somebody has signed in."""
    return sign_in(page, api)


def sign_in(page: Page, api: Api, path: str = "", *, scripts: bool = True) -> Page:
    page.goto(f"http://127.0.0.1:{api.server.port}/dashboard{path}")
    page.get_by_label("API key").fill(api.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("body[data-ready]" if scripts else "body.app")).to_be_visible()
    return page


def open_thread(page: Page, api: Api, thread: str) -> Page:
    page.goto(f"http://127.0.0.1:{api.server.port}/dashboard/threads/{thread}")
    expect(page.locator("body[data-ready] #scroll")).to_be_visible()
    return page


def turns(page: Page) -> list[str]:
    """The texts of the turns in the page, top to bottom."""
    return page.locator(".turn .text").all_inner_texts()
