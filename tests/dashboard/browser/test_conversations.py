from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from playwright.sync_api import BrowserContext, Page, expect

from tests.dashboard.browser.conftest import Seen, open_thread, sign_in, turns, watched
from tests.wire.http_call import Api

MANY = 700
TURNS_MAX = 210


def talk(api: Api, count: int, **fields: object) -> str:
    """Make a thread of so many turns."""
    written = [
        {"role": ("user", "assistant")[number % 2], "content": f"turn {number}"}
        for number in range(count)
    ]
    thread = str(api.new_thread(messages=written[:512], **fields)["id"])
    for turn in written[512:]:
        api.ok("POST", f"/v1/threads/{thread}/messages", turn)
    return thread


def test_markdown_and_code_are_shown_as_they_are_meant(inside: Page, api: Api) -> None:
    text = (
        "# Title\n\n**bold** and `code` and [a link](https://example.com/x)\n\n"
        "```python\nprint(1 < 2)\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- one\n- two\n"
    )
    thread = api.new_thread(messages=[{"role": "assistant", "content": text}])["id"]
    open_thread(inside, api, thread)
    turn = inside.locator(".turn.assistant .text")
    expect(turn.locator("strong")).to_have_text("bold")
    expect(turn.locator("pre code")).to_have_text("print(1 < 2)\n")
    expect(turn.locator("td.to-right")).to_have_text("2")
    expect(turn.locator("li")).to_have_text(["one", "two"])
    link = turn.get_by_role("link", name="a link")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("title", "https://example.com/x")


def test_both_roles_times_ids_and_metadata_are_there(
    window: Callable[..., BrowserContext], api: Api
) -> None:
    context = window()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    thread = talk(api, 2, title="Parcel", metadata={"channel": "support"})
    sign_in(page, api, f"/threads/{thread}")
    expect(page.get_by_role("article", name="User")).to_contain_text("turn 0")
    expect(page.get_by_role("article", name="Assistant")).to_contain_text("turn 1")
    expect(page.get_by_role("list", name="Metadata")).to_have_text(re.compile("channel = support"))
    expect(page.locator(".turn time").first).to_have_text(re.compile(r"^\d\d:\d\d$"))
    page.get_by_title("Copy the thread's id").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == thread


def test_a_long_thread_opens_at_its_end_and_is_read_to_its_beginning(
    inside: Page, api: Api
) -> None:
    thread = talk(api, MANY)
    open_thread(inside, api, thread)
    expect(inside.get_by_text(f"turn {MANY - 1}", exact=True)).to_be_in_viewport()
    first = inside.locator("#turns").get_by_text("turn 0", exact=True)
    while not first.count():
        inside.evaluate("document.getElementById('scroll').scrollTop = 0")
        assert inside.locator(".turn").count() <= TURNS_MAX
        seen = [int(text.split()[1]) for text in turns(inside)]
        assert all(later == earlier + 1 for earlier, later in pairwise(seen))
    expect(inside.locator("#older-edge")).to_be_hidden()
    # The window has left the end, and finds back to it.
    last = inside.locator("#turns").get_by_text(f"turn {MANY - 1}", exact=True)
    while not last.count():
        inside.evaluate("document.getElementById('scroll').scrollTop = 1e9")
        assert inside.locator(".turn").count() <= TURNS_MAX
    assert turns(inside)[-1] == f"turn {MANY - 1}"


def test_what_one_reads_stays_in_place_when_older_turns_come(inside: Page, api: Api) -> None:
    thread = talk(api, 200)
    open_thread(inside, api, thread)
    name, before = inside.evaluate(
        """() => {
            document.getElementById("scroll").scrollTop = 200;
            const turn = document.querySelectorAll(".turn")[2];
            return [turn.dataset.id, turn.getBoundingClientRect().top];
        }"""
    )
    expect(inside.locator(".turn").nth(2)).not_to_have_attribute("data-id", name)
    after = inside.locator(f'[data-id="{name}"]').evaluate(
        "(each) => each.getBoundingClientRect().top"
    )
    assert abs(after - before) < 3


def test_one_can_jump_to_either_end(inside: Page, api: Api) -> None:
    thread = talk(api, MANY)
    open_thread(inside, api, thread)
    inside.get_by_role("button", name="First turn").click()
    expect(inside.locator("#turns").get_by_text("turn 0", exact=True)).to_be_in_viewport()
    expect(inside.get_by_role("region", name="Turns")).to_be_focused()
    inside.get_by_role("button", name="Latest turn").click()
    expect(inside.get_by_text(f"turn {MANY - 1}", exact=True)).to_be_in_viewport()


def test_turns_that_the_api_writes_appear_by_themselves(inside: Page, api: Api) -> None:
    thread = talk(api, 3, title="Parcel")
    open_thread(inside, api, thread)
    turn = api.new_message(thread, "from the API")["id"]
    expect(inside.get_by_text("from the API")).to_be_in_viewport()
    api.ok("POST", f"/v1/threads/{thread}/messages/{turn}", {"metadata": {"seen": "yes"}})
    expect(inside.locator(f'[data-id="{turn}"] details')).to_have_count(1)
    api.ok("DELETE", f"/v1/threads/{thread}/messages/{turn}")
    expect(inside.get_by_text("from the API")).to_have_count(0)
    api.ok("POST", f"/v1/threads/{thread}", {"title": "New name", "metadata": {"a": "b"}})
    expect(inside.get_by_role("heading", name="New name")).to_be_visible()
    expect(inside.get_by_role("list", name="Metadata")).to_be_visible()
    api.ok("DELETE", f"/v1/threads/{thread}")
    expect(inside.get_by_role("heading", name="Choose a thread")).to_be_visible()


def test_a_reader_is_not_torn_away_by_new_turns_but_told(inside: Page, api: Api) -> None:
    thread = talk(api, 60)
    open_thread(inside, api, thread)
    scroller = inside.locator("#scroll")
    scroller.evaluate("(each) => { each.scrollTop = each.scrollHeight / 3 }")
    expect(inside.locator("#older-edge")).to_be_hidden()
    top = scroller.evaluate("(each) => each.scrollTop")
    api.new_message(thread, "news")
    told = inside.get_by_role("button", name="New turns below")
    expect(told).to_be_visible()
    assert scroller.evaluate("(each) => each.scrollTop") == top
    told.click()
    expect(inside.get_by_text("news")).to_be_in_viewport()
    expect(told).to_be_hidden()


def test_a_break_of_the_stream_loses_nothing(
    window: Callable[..., BrowserContext], api: Api, seen: Seen
) -> None:
    seen.expected.append("ERR_INTERNET_DISCONNECTED")
    context = window()
    page = watched(context.new_page(), seen)
    thread = talk(api, 2)
    sign_in(page, api, f"/threads/{thread}")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    context.set_offline(True)
    api.new_message(thread, "meanwhile")
    context.set_offline(False)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("meanwhile")).to_be_visible()
    assert seen.unexpected() == []


def test_a_picture_is_loaded_when_it_is_asked_for_and_not_before(
    inside: Page, api: Api, seen: Seen
) -> None:
    url = "https://pictures.example/a.png"
    content = [
        {"type": "text", "text": f"![a chart]({url}?markdown)"},
        {"type": "image_url", "image_url": {"url": f"{url}?part"}},
    ]
    thread = api.new_thread(messages=[{"role": "user", "content": content}])["id"]
    open_thread(inside, api, thread)
    expect(inside.locator("a.picture")).to_have_count(2)
    assert seen.foreign == []
    for name in ("markdown", "part"):
        inside.locator(f'a.picture[href$="{name}"]').click()
        frame = inside.frame_locator(f'iframe[src*="{name}"]')
        expect(frame.get_by_role("img")).to_be_visible()
    assert seen.foreign == [f"{url}?markdown", f"{url}?part"]
    assert inside.evaluate("document.querySelectorAll('main img').length") == 0
