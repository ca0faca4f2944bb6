from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.dashboard.browser.conftest import Seen, open_thread, sign_in
from tests.wire.http_call import Api


def rows(page: Page) -> list[str]:
    return page.locator("#rows .row-title").all_inner_texts()


def test_a_wrong_key_is_told_and_a_right_one_opens_what_was_wanted(
    page: Page, api: Api, seen: Seen
) -> None:
    seen.expected.append("401")
    thread = api.new_thread(title="Parcel")["id"]
    page.goto(f"http://127.0.0.1:{api.server.port}/dashboard/threads/{thread}")
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    key.fill("sk-ragen-wrong")
    key.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No such key is in force")
    key.fill(api.key)
    key.press("Enter")
    expect(page.get_by_role("heading", name="Parcel")).to_be_visible()
    expect(page).to_have_title("Parcel - RAGEN Actor")
    page.get_by_role("button", name="Sign out").click()
    expect(key).to_be_visible()
    page.go_back()
    expect(key).to_be_visible()


def test_nothing_but_a_welcome_is_shown_where_there_is_nothing(inside: Page) -> None:
    expect(inside.get_by_text("No thread yet.")).to_be_visible()
    expect(inside.get_by_role("heading", name="Choose a thread")).to_be_visible()


def test_the_page_follows_the_scheme_of_the_machine(inside: Page, scheme: str) -> None:
    colour = inside.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in re.findall(r"\d+", colour)[:3]) > 382
    assert light == (scheme == "light")


def test_all_threads_come_as_one_scrolls(page: Page, api: Api) -> None:
    for number in range(130):
        api.new_thread(title=f"Thread {number}")
    sign_in(page, api)
    expect(page.locator("#rows li")).not_to_have_count(130)
    while page.locator("#rows li").count() < 130:
        page.locator("#rows li").last.scroll_into_view_if_needed()
    assert rows(page) == [f"Thread {number}" for number in reversed(range(130))]
    expect(page.locator("#rows-edge")).to_be_hidden()


def test_the_list_is_filtered_as_one_types_and_whole_again_when_one_clears(
    page: Page, api: Api
) -> None:
    for number in range(60):
        api.new_thread(title="Lamp" if number in (3, 50) else f"Desk {number}")
    thread = api.new_thread()["id"]
    sign_in(page, api)
    page.keyboard.press("/")
    field = page.get_by_label("Filter threads by title or id")
    expect(field).to_be_focused()
    field.press_sequentially("lAm")
    expect(page.locator("#rows li")).to_have_count(2)
    field.fill("nothing holds this")
    expect(page.get_by_text("No title or id holds that.")).to_be_visible()
    field.fill(thread)
    expect(page.locator("#rows li")).to_have_count(1)
    field.press("Enter")
    expect(page).to_have_url(re.compile(thread))
    field.fill("")
    expect(page.locator("#rows .row-title").nth(1)).to_have_text("Desk 59")
    expect(page.locator(f'li[data-id="{thread}"] a')).to_have_attribute("aria-current", "page")


def test_threads_appear_change_and_go_by_themselves(page: Page, api: Api) -> None:
    old = api.new_thread(title="Old")["id"]
    sign_in(page, api)
    new = api.new_thread()["id"]
    expect(page.locator("#rows .row-title")).to_have_text(["Empty thread", "Old"])
    api.new_message(new, "Where is my parcel?")
    expect(page.locator("#rows .row-title")).to_have_text(["Where is my parcel?", "Old"])
    api.ok("POST", f"/v1/threads/{old}", {"title": "Renamed"})
    expect(page.locator("#rows .row-title")).to_have_text(["Where is my parcel?", "Renamed"])
    api.ok("DELETE", f"/v1/threads/{new}")
    expect(page.locator("#rows .row-title")).to_have_text(["Renamed"])


def test_the_list_can_be_walked_with_the_keyboard(page: Page, api: Api) -> None:
    for title in ("Third", "Second", "First"):
        api.new_thread(title=title)
    sign_in(page, api)
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#rows a").nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#rows a").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="Second")
    expect(heading).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Choose a thread")).to_be_visible()


def test_on_a_phone_one_sees_the_list_or_a_thread_and_comes_back(
    window: Callable[..., BrowserContext], api: Api
) -> None:
    api.new_thread(title="Parcel", messages=[{"role": "user", "content": "hello"}])
    page = window(viewport={"width": 360, "height": 740}, has_touch=True).new_page()
    sign_in(page, api)
    expect(page.locator("#main")).to_be_hidden()
    page.get_by_role("link", name="Parcel").click()
    expect(page.get_by_text("hello")).to_be_visible()
    expect(page.locator(".side")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("link", name="All threads").click()
    expect(page.get_by_role("link", name="Parcel")).to_be_visible()
    expect(page.locator("#main")).to_be_hidden()


def test_threads_can_be_read_without_scripts(
    window: Callable[..., BrowserContext], api: Api
) -> None:
    api.new_thread(title="Parcel", messages=[{"role": "user", "content": "**hello**"}])
    page = window(java_script_enabled=False).new_page()
    sign_in(page, api, scripts=False)
    page.get_by_role("link", name="Parcel").click()
    expect(page.get_by_text("**hello**")).to_be_visible()


def test_every_control_has_a_name_and_no_id_is_used_twice(page: Page, api: Api) -> None:
    thread = api.new_thread(title="x", messages=[{"role": "user", "content": "hello"}])["id"]
    sign_in(page, api)
    open_thread(page, api, thread)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea")]
            .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
            .map((each) => each.outerHTML)"""
    )
    assert unnamed == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
