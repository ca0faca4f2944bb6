from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from ragen_actor.schema import PLACEHOLDER
from tests.dashboard.browser.conftest import Seen, open_thread, sign_in
from tests.server_process import ServerProcess
from tests.wire.http_call import Api

SECRET = "the marmot sleeps in the seventh drawer"


def contents(api: Api, thread: str) -> list[tuple[str, str]]:
    page = api.page(f"/v1/threads/{thread}/messages", "order=asc")
    return [(each["role"], each["content"][0]["text"]["value"]) for each in page["data"]]


def only_thread(api: Api) -> str:
    [thread] = api.page("/v1/threads")["data"]
    return str(thread["id"])


def test_a_thread_is_made_and_turns_of_both_roles_are_added(inside: Page, api: Api) -> None:
    inside.get_by_role("button", name="New thread").click()
    title = inside.get_by_role("textbox", name="Title")
    expect(title).to_be_focused()
    title.fill("Parcel")
    inside.get_by_label("First turn").fill("Where is it?")
    inside.get_by_role("button", name="Create").click()
    expect(inside.get_by_role("heading", name="Parcel")).to_be_visible()
    expect(inside.locator("#rows .row-title")).to_have_text(["Parcel"])
    words = inside.get_by_label("The turn's text")
    expect(words).to_be_focused()
    inside.get_by_text("Assistant", exact=True).last.click()
    words.fill("On its way.")
    words.press("Control+Enter")
    expect(inside.get_by_text("On its way.")).to_be_in_viewport()
    inside.locator(".roles").get_by_text("User", exact=True).click()
    words.fill("Thank you")
    inside.get_by_role("button", name="Add turn").click()
    expect(inside.locator(".turn")).to_have_count(3)
    expect(words).to_have_value("")
    assert contents(api, only_thread(api)) == [
        ("user", "Where is it?"),
        ("assistant", "On its way."),
        ("user", "Thank you"),
    ]


def test_an_empty_thread_says_so_until_its_first_turn(inside: Page, api: Api) -> None:
    inside.get_by_role("button", name="New thread").click()
    inside.get_by_role("button", name="Create").click()
    expect(inside.get_by_text("No turn yet.")).to_be_visible()
    inside.get_by_label("The turn's text").fill("hello")
    inside.get_by_role("button", name="Add turn").click()
    expect(inside.get_by_text("No turn yet.")).to_be_hidden()
    expect(inside.locator(".turn")).to_have_count(1)


def test_a_thread_is_renamed_and_its_metadata_edited(inside: Page, api: Api) -> None:
    thread = api.new_thread(title="Old", metadata={"keep": "1", "drop": "2"})["id"]
    open_thread(inside, api, thread)
    inside.get_by_role("button", name="Rename").click()
    field = inside.get_by_role("dialog").get_by_label("Title")
    expect(field).to_have_value("Old")
    field.fill("New")
    field.press("Enter")
    expect(inside.get_by_role("heading", name="New", exact=True)).to_be_visible()
    expect(inside.locator("#rows .row-title")).to_have_text(["New"])
    inside.get_by_role("button", name="Metadata").click()
    inside.locator(".pair").nth(1).get_by_role("button").click()
    inside.get_by_role("button", name="Add a pair").click()
    inside.get_by_label("Name").last.fill('<b>"quoted"</b>')
    inside.get_by_label("Value").last.fill("3")
    inside.get_by_role("button", name="Save").click()
    expect(inside.get_by_role("list", name="Metadata")).to_contain_text('<b>"quoted"</b> = 3')
    found = api.page(f"/v1/threads/{thread}")
    assert found["title"] == "New"
    assert found["metadata"] == {"keep": "1", '<b>"quoted"</b>': "3"}


def test_what_is_refused_is_told_in_the_dialog_which_stays_open(
    inside: Page, api: Api, seen: Seen
) -> None:
    seen.expected.append("400")
    thread = api.new_thread(metadata={f"name {each}": "x" for each in range(16)})["id"]
    open_thread(inside, api, thread)
    inside.get_by_role("button", name="Metadata").click()
    inside.get_by_role("button", name="Add a pair").click()
    inside.get_by_label("Name").last.fill("one too many")
    inside.get_by_role("button", name="Save").click()
    expect(inside.get_by_role("dialog").get_by_role("alert")).to_contain_text("too many")
    inside.keyboard.press("Escape")
    expect(inside.get_by_role("dialog")).to_be_hidden()
    expect(inside.get_by_role("button", name="Metadata")).to_be_focused()


def test_a_turn_and_a_thread_are_deleted_only_after_a_yes(inside: Page, api: Api) -> None:
    turns = [{"role": "user", "content": text} for text in ("one", "two")]
    thread = api.new_thread(title="Parcel", messages=turns)["id"]
    open_thread(inside, api, thread)
    remove = inside.locator(".turn", has_text="two").get_by_role("button", name="Delete this turn")
    remove.click()
    expect(inside.get_by_role("dialog")).to_contain_text("two")
    expect(inside.get_by_role("button", name="Keep it")).to_be_focused()
    inside.keyboard.press("Enter")
    assert len(contents(api, thread)) == 2
    remove.click()
    inside.get_by_role("button", name="Delete", exact=True).click()
    expect(inside.locator(".turn")).to_have_count(1)
    assert contents(api, thread) == [("user", "one")]
    inside.get_by_role("button", name="Delete this thread").click()
    expect(inside.get_by_role("dialog")).to_contain_text("Parcel")
    inside.get_by_role("button", name="Delete", exact=True).click()
    expect(inside.get_by_text("No thread yet.")).to_be_visible()
    expect(inside).to_have_url(re.compile("/dashboard$"))
    assert api.page("/v1/threads")["data"] == []


def test_a_thread_is_downloaded_as_jsonl(inside: Page, api: Api, tmp_path: Path) -> None:
    thread = api.new_thread(title="x", messages=[{"role": "user", "content": "hello"}])
    open_thread(inside, api, thread["id"])
    with inside.expect_download() as download:
        inside.get_by_role("link", name="Download as JSONL").click()
    assert download.value.suggested_filename == f"{thread['id']}.jsonl"
    download.value.save_as(tmp_path / "saved")
    lines = [json.loads(line) for line in (tmp_path / "saved").read_text().splitlines()]
    assert lines[0] == thread
    assert lines[1]["content"][0]["text"]["value"] == "hello"


def test_an_encrypted_thread_is_made_and_read_here_and_closed_to_the_api(
    inside: Page, api: Api
) -> None:
    inside.get_by_role("button", name="New thread").click()
    inside.get_by_role("textbox", name="Title").fill("Plans")
    inside.get_by_label("First turn").fill(SECRET)
    inside.get_by_label("Encrypt the turns").check()
    inside.get_by_role("button", name="Create").click()
    expect(inside.locator(".turn")).to_have_text(re.compile(SECRET))
    expect(inside.locator(".badge")).to_have_text("Encrypted")
    expect(inside.locator("#rows .lock")).to_be_visible()
    inside.get_by_label("The turn's text").fill("and snores")
    inside.get_by_role("button", name="Add turn").click()
    expect(inside.get_by_text("and snores")).to_be_visible()
    assert contents(api, only_thread(api)) == [("user", PLACEHOLDER)] * 2


def test_without_the_master_key_the_page_says_what_is_missing(
    page: Page, elsewhere: Callable[[str], ServerProcess], seen: Seen, tmp_path: Path
) -> None:
    seen.expected += ["500", "401", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    server = elsewhere("")
    api = Api(server, server.key)
    sign_in(page, api)
    page.get_by_role("button", name="New thread").click()
    page.get_by_label("First turn").fill(SECRET)
    page.get_by_label("Encrypt the turns").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text(SECRET)).to_be_visible()
    thread = only_thread(api)
    page.goto("about:blank")  # The page would leave by itself once its session is gone.
    server.terminate()
    server.data_dir.with_suffix(".toml").write_text("")
    server.restart()
    sign_in(page, api, f"/threads/{thread}")
    expect(page.get_by_role("alert")).to_contain_text("There is no master key")
    expect(page.locator(".badge")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(0)
    page.get_by_label("The turn's text").fill("more")
    page.get_by_role("button", name="Add turn").click()
    expect(page.get_by_role("status")).to_contain_text("There is no master key")
    expect(page.get_by_label("The turn's text")).to_have_value("more")


def test_a_server_that_is_gone_is_told_and_what_was_typed_stays(
    page: Page, elsewhere: Callable[[str], ServerProcess], seen: Seen
) -> None:
    seen.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "401"]
    server = elsewhere("")
    api = Api(server, server.key)
    thread = api.new_thread(title="Parcel")["id"]
    sign_in(page, api, f"/threads/{thread}")
    server.kill()
    words = page.get_by_label("The turn's text")
    words.fill("not lost")
    page.get_by_role("button", name="Add turn").click()
    expect(page.get_by_role("status")).to_have_text("The server cannot be reached.")
    expect(words).to_have_value("not lost")
    server.restart()
    page.get_by_role("button", name="Add turn").click()
    expect(page.get_by_role("status")).to_contain_text("Your session has ended.")
    expect(words).to_have_value("not lost")
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_session_that_ends_elsewhere_ends_here_by_itself(
    inside: Page, api: Api, seen: Seen
) -> None:
    seen.expected.append("401")
    other = inside.context.new_page()
    other.goto(f"http://127.0.0.1:{api.server.port}/dashboard")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_label("API key")).to_be_visible()
    expect(inside.get_by_label("API key")).to_be_visible()
