from __future__ import annotations

from typing import Any

import pytest

from ragen_actor.dashboard.shown import shown
from ragen_actor.dashboard.views import CLIP_CHARS, MARKDOWN_CHARS_MAX
from tests.dashboard.visitor import Visitor
from tests.wire.http_call import Api


def titled(api: Api, *titles: str) -> list[str]:
    """Make a thread for each title; return their ids, newest first."""
    return [api.new_thread(title=title)["id"] for title in titles][::-1]


def talk(api: Api, count: int) -> tuple[str, list[str]]:
    """Make a thread of so many turns; return its id and theirs, oldest first."""
    turns = [{"role": "user", "content": f"turn {number}"} for number in range(count)]
    thread = api.new_thread(messages=turns)["id"]
    ids: list[str] = []
    while True:
        after = f"&after={ids[-1]}" if ids else ""
        page = api.page(f"/v1/threads/{thread}/messages", f"order=asc&limit=100{after}")
        ids += [message["id"] for message in page["data"]]
        if not page["has_more"]:
            return thread, ids


def test_threads_are_listed_newest_first_a_part_at_a_time(visitor: Visitor, api: Api) -> None:
    ids = titled(api, *[f"thread {number}" for number in range(85)])
    first, answer = visitor.rows()
    assert first == ids[:40]
    assert answer.headers["x-more"] == "true"
    rest: list[str] = []
    while answer.headers["x-more"] == "true":
        part, answer = visitor.rows(f"after={(first + rest)[-1]}")
        rest += part
    assert first + rest == ids


def test_threads_made_since_are_those_above_the_first(visitor: Visitor, api: Api) -> None:
    [old] = titled(api, "old")
    new = titled(api, "one", "two")
    assert visitor.rows(f"before={old}")[0] == new


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"title": "A title"}, "A title"),
        ({"title": "  "}, "Empty thread"),
        ({}, "Empty thread"),
        ({"messages": [{"role": "user", "content": "How  do\nI?"}]}, "How do I?"),
        ({"title": "<b>x</b>"}, "&lt;b&gt;x&lt;/b&gt;"),
        ({"title": "txt\u202egnp"}, "txt\u27e6U+202E\u27e7gnp"),
    ],
)
def test_a_thread_is_called_by_its_title_or_by_its_first_turn(
    visitor: Visitor, api: Api, fields: dict[str, Any], shown: str
) -> None:
    thread = api.new_thread(**fields)["id"]
    assert f"<bdi>{shown}</bdi>" in visitor.ask("GET", f"/threads/{thread}/row").body.decode()
    assert f"<bdi>{shown}</bdi>" in visitor.ask("GET", f"/threads/{thread}").body.decode()


def test_a_thread_whose_first_turn_is_damaged_is_not_called_empty(
    visitor: Visitor, api: Api
) -> None:
    thread = api.new_thread(messages=[{"role": "user", "content": "How do I?"}])["id"]
    [file] = api.server.data_dir.rglob(f"{thread}.jsonl")
    file.write_bytes(file.read_bytes().replace(b"How do I?", b"How do i?"))
    assert "<bdi>Damaged thread</bdi>" in visitor.rows()[1].body.decode()


def test_a_filter_finds_titles_and_ids_of_all_threads_and_nothing_else(
    visitor: Visitor, api: Api
) -> None:
    ids = titled(api, *["Lamp" if number % 100 == 7 else "Desk" for number in range(400)])
    lamps = [each for place, each in enumerate(ids) if (399 - place) % 100 == 7]
    assert visitor.filtered("lAMP") == lamps
    assert visitor.filtered(" lam ") == lamps
    assert visitor.filtered(ids[3]) == [ids[3]]
    assert visitor.filtered(ids[3][7:26]) == [ids[3]]
    assert visitor.filtered("chair") == []
    assert visitor.filtered("thread-" + "f" * 32) == []


def test_one_filter_request_looks_at_a_bounded_number_of_threads(
    visitor: Visitor, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = titled(api, *["Desk"] * 120)
    _, answer = visitor.rows("filter=desk")
    assert answer.headers["x-cursor"] in ids
    assert visitor.ask("GET", f"/threads?filter={'x' * 257}").status == 400


def test_letters_of_other_scripts_are_filtered_case_aside(visitor: Visitor, api: Api) -> None:
    [thread] = titled(api, "STRASSE \u00c4")
    assert visitor.filtered("stra\u00dfe \u00e4") == [thread]


def test_a_conversation_can_be_read_from_either_end(visitor: Visitor, api: Api) -> None:
    thread, ids = talk(api, 95)
    newest, answer = visitor.turns(thread, "limit=30&order=desc")
    assert newest == ids[-30:]
    assert answer.headers["x-more"] == "true"
    older, _ = visitor.turns(thread, f"limit=30&order=desc&after={newest[0]}")
    assert older == ids[-60:-30]
    first, answer = visitor.turns(thread, "limit=30&order=asc")
    assert first == ids[:30]
    later, answer = visitor.turns(thread, f"limit=100&order=asc&after={first[-1]}")
    assert later == ids[30:]
    assert answer.headers["x-more"] == "false"


def test_the_page_shows_the_newest_turns_oldest_on_top(visitor: Visitor, api: Api) -> None:
    thread, _ = talk(api, 35)
    page = visitor.ask("GET", f"/threads/{thread}").body.decode()
    places = [page.index(f">turn {number}<") for number in range(5, 35)]
    assert places == sorted(places)
    assert ">turn 4<" not in page
    assert 'data-older="true"' in page


def test_a_turn_shows_its_role_its_metadata_and_its_files(visitor: Visitor, api: Api) -> None:
    thread, _ = talk(api, 0)
    turn = api.new_message(
        thread,
        role="assistant",
        metadata={"source": "<app>"},
        attachments=[{"file_id": "file-1"}],
        content=[
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
            {"type": "image_file", "image_file": {"file_id": "file-2"}},
        ],
    )
    shown = visitor.ask("GET", f"/threads/{thread}/turns/{turn['id']}").body.decode()
    assert f'<li class="turn assistant" data-id="{turn["id"]}">' in shown
    assert "<dt><bdi>source</bdi></dt><dd><bdi>&lt;app&gt;</bdi></dd>" in shown
    assert "<code>file-1</code>" in shown
    assert 'class="picture" href="https://example.com/a.png"' in shown
    assert "an address that is not opened: data:image/svg+xml,&lt;svg/&gt;" in shown
    assert "file file-2" in shown
    assert "<img" not in shown


def test_a_long_text_is_shown_in_part_until_all_of_it_is_asked_for(
    visitor: Visitor, api: Api
) -> None:
    thread, _ = talk(api, 0)
    turn = api.new_message(thread, "x" * 256_000)["id"]
    part = visitor.turns(thread, "")[1].body.decode()
    assert part.count("x" * CLIP_CHARS) == 1
    assert "252,000 characters more" in part
    assert len(part) < CLIP_CHARS + 4_000
    whole = visitor.ask("GET", f"/threads/{thread}/turns/{turn}").body.decode()
    assert "x" * 256_000 in whole
    assert "data-markdown" not in part + whole


def test_markdown_of_one_turn_is_bounded_over_all_its_parts(visitor: Visitor, api: Api) -> None:
    thread, _ = talk(api, 0)
    part = {"type": "text", "text": "y" * (MARKDOWN_CHARS_MAX // 2)}
    api.new_message(thread, [part] * 100)
    shown = visitor.turns(thread, "")[1].body.decode()
    assert shown.count("data-markdown") == 2
    assert "36 more parts" in shown


def test_a_cursor_that_is_none_is_refused_as_by_the_api(visitor: Visitor, api: Api) -> None:
    thread, _ = talk(api, 1)
    answer = visitor.ask("GET", f"/threads/{thread}/turns?after=msg-x")
    assert answer.status == 400
    assert answer.error["param"] == "after"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\tb\r\nc", "a\tb\r\nc"),
        ("\u202eabc", "\u27e6U+202E\u27e7abc"),
        ("\u2066a\u2069", "\u27e6U+2066\u27e7a\u27e6U+2069\u27e7"),
        ("a\x00\x1b[31m\x7f", "a\u2400\u241b[31m\u2421"),
        ("\u05e9\u05dc\u05d5\u05dd\u200f!", "\u05e9\u05dc\u05d5\u05dd\u200f!"),
    ],
)
def test_what_turns_text_around_is_named_and_letters_are_left_alone(
    text: str, expected: str
) -> None:
    assert shown(text) == expected
