from __future__ import annotations

from typing import Any

import pytest

from tests.wire.http_call import Api


@pytest.fixture
def path(api: Api) -> str:
    """The messages of a thread of 25, whose texts are their places."""
    turns = [{"role": "user", "content": str(place)} for place in range(25)]
    return f"/v1/threads/{api.new_thread(messages=turns)['id']}/messages"


def places(page: Any) -> list[int]:
    return [int(message["content"][0]["text"]["value"]) for message in page["data"]]


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page["data"]]


def test_a_page_has_exactly_these_members_in_this_order(api: Api, path: str) -> None:
    page = api.page(path)
    assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
    assert page["object"] == "list"
    assert page["first_id"] == page["data"][0]["id"]
    assert page["last_id"] == page["data"][-1]["id"]
    assert page["has_more"] is True


def test_an_empty_list_has_no_ids_and_no_more(api: Api, quiet_org: Api) -> None:
    empty = [("object", "list"), ("data", []), ("first_id", None), ("last_id", None)]
    messages = f"/v1/threads/{api.new_thread()['id']}/messages"
    assert list(api.page(messages).items()) == [*empty, ("has_more", False)]
    assert list(quiet_org.page("/v1/threads").items()) == [*empty, ("has_more", False)]


def test_by_default_the_newest_twenty_come_newest_first(api: Api, path: str) -> None:
    assert places(api.page(path)) == list(range(24, 4, -1))
    assert places(api.page(path, "order=desc&limit=20")) == list(range(24, 4, -1))


def test_asc_is_the_exact_reverse_of_desc(api: Api, path: str) -> None:
    down = api.page(path, "limit=100&order=desc")
    up = api.page(path, "limit=100&order=asc")
    assert up["data"] == down["data"][::-1]
    assert places(up) == list(range(25))


@pytest.mark.parametrize(("limit", "more"), [(1, True), (24, True), (25, False), (100, False)])
def test_a_full_last_page_says_that_there_is_no_more(
    api: Api, path: str, limit: int, more: bool
) -> None:
    page = api.page(path, f"limit={limit}")
    assert len(page["data"]) == min(limit, 25)
    assert page["has_more"] is more


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 24])
def test_pages_chained_by_after_hold_every_message_once(
    api: Api, path: str, order: str, limit: int
) -> None:
    page = api.page(path, f"order={order}&limit={limit}")
    seen = places(page)
    while page["has_more"]:
        page = api.page(path, f"order={order}&limit={limit}&after={page['last_id']}")
        seen += places(page)
    assert seen == (list(range(25)) if order == "asc" else list(range(24, -1, -1)))


def test_after_the_last_message_there_is_an_empty_page(api: Api, path: str) -> None:
    last = api.page(path, "order=asc&limit=100")["last_id"]
    page = api.page(path, f"order=asc&after={last}")
    assert (page["data"], page["has_more"], page["first_id"]) == ([], False, None)


def test_before_gives_what_stands_just_before_the_cursor_in_the_requested_order(
    api: Api, path: str
) -> None:
    up = ids(api.page(path, "order=asc&limit=100"))
    page = api.page(path, f"order=asc&limit=3&before={up[10]}")
    assert (places(page), page["has_more"]) == ([7, 8, 9], True)
    page = api.page(path, f"order=asc&limit=10&before={up[10]}")
    assert (places(page), page["has_more"]) == (list(range(10)), False)
    page = api.page(path, f"order=desc&limit=3&before={up[10]}")
    assert (places(page), page["has_more"]) == ([13, 12, 11], True)
    page = api.page(path, f"order=desc&limit=14&before={up[10]}")
    assert (places(page), page["has_more"]) == (list(range(24, 10, -1)), False)
    page = api.page(path, f"order=asc&before={up[0]}")
    assert (page["data"], page["has_more"]) == ([], False)


def test_after_and_before_together_are_refused_but_an_empty_one_counts_as_absent(
    api: Api, path: str
) -> None:
    up = ids(api.page(path, "order=asc&limit=100"))
    answer = api.call("GET", f"{path}?after={up[1]}&before={up[5]}")
    assert answer.status == 400
    assert answer.error["param"] == "before"
    assert places(api.page(path, f"order=asc&limit=2&after=&before={up[5]}")) == [3, 4]
    assert places(api.page(path, f"order=asc&limit=2&after={up[5]}&before=")) == [6, 7]
    assert places(api.page(path, "order=asc&limit=2&after=&before=")) == [0, 1]


@pytest.mark.parametrize("cursor", ["after", "before"])
def test_the_cursor_of_a_deleted_message_still_works(api: Api, path: str, cursor: str) -> None:
    up = ids(api.page(path, "order=asc&limit=100"))
    for place in (9, 10, 11):
        api.ok("DELETE", f"{path}/{up[place]}")
    expected = [12, 13] if cursor == "after" else [7, 8]
    assert places(api.page(path, f"order=asc&limit=2&{cursor}={up[10]}")) == expected


def test_a_deleted_message_is_in_no_list(api: Api, path: str) -> None:
    up = ids(api.page(path, "order=asc&limit=100"))
    for gone in up[:5]:
        api.ok("DELETE", f"{path}/{gone}")
    page = api.page(path, "order=asc&limit=20")
    assert places(page) == list(range(5, 25))
    assert page["has_more"] is False


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize(
    "cursor",
    ["x", "msg-", "msg-x", "msg-" + "0" * 31, "msg-" + "g" * 32, "..%2F..", "%00", "%F0%9F%98%80"],
)
def test_a_cursor_that_is_no_id_is_refused(api: Api, path: str, name: str, cursor: str) -> None:
    answer = api.call("GET", f"{path}?{name}={cursor}")
    assert answer.status == 400
    assert answer.error["param"] == name
    answer = api.call("GET", f"/v1/threads?{name}={cursor.replace('msg', 'thread')}")
    assert answer.status == 400
    assert answer.error["param"] == name


@pytest.mark.parametrize("name", ["after", "before"])
def test_a_cursor_whose_place_was_never_reached_is_refused(api: Api, path: str, name: str) -> None:
    far = ids(api.page(path, "limit=1"))[0]
    short = api.new_thread(messages=[{"role": "user", "content": "0"}])["id"]
    answer = api.call("GET", f"/v1/threads/{short}/messages?{name}={far}")
    assert answer.status == 400
    assert answer.error["param"] == name


def test_a_well_formed_cursor_below_that_counts_as_deleted(api: Api, path: str) -> None:
    other = api.new_thread(messages=[{"role": "user", "content": "0"}] * 3)["id"]
    foreign = ids(api.page(f"/v1/threads/{other}/messages", "order=asc"))[1]
    assert places(api.page(path, f"order=asc&limit=2&after={foreign}")) == [2, 3]


def test_a_run_id_filters_exactly(api: Api, path: str) -> None:
    page = api.page(path, "run_id=run_x")
    assert (page["data"], page["has_more"], page["last_id"]) == ([], False, None)


def test_unknown_query_parameters_are_ignored(api: Api, path: str) -> None:
    assert places(api.page(path, "limit=1&foo=bar&include[]=x&include[]=y")) == [24]


def test_a_page_ends_early_before_it_passes_the_page_bound(api: Api) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}/messages"
    for place in range(6):
        api.new_message(thread, [{"type": "text", "text": str(place) + "x" * 255_999}] * 7)
    page = api.page(path, "order=asc")
    assert 1 <= len(page["data"]) < 6
    assert page["has_more"] is True
    seen = len(page["data"])
    while page["has_more"]:
        page = api.page(path, f"order=asc&after={page['last_id']}")
        assert [one["content"][0]["text"]["value"][0] for one in page["data"]] == [
            str(place) for place in range(seen, seen + len(page["data"]))
        ]
        seen += len(page["data"])
    assert seen == 6


def test_threads_are_listed_whole_newest_first_to_their_organisation_alone(
    quiet_org: Api, api: Api
) -> None:
    made = [quiet_org.new_thread(title=str(number)) for number in range(25)]
    api.new_thread()
    assert quiet_org.page("/v1/threads", "limit=100")["data"] == made[::-1]
    assert quiet_org.page("/v1/threads", "limit=100&order=asc")["data"] == made
    page = quiet_org.page("/v1/threads")
    assert (page["data"], page["has_more"]) == (made[:4:-1], True)
    page = quiet_org.page("/v1/threads", f"after={page['last_id']}")
    assert (page["data"], page["has_more"]) == (made[4::-1], False)
    page = quiet_org.page("/v1/threads", f"order=asc&limit=2&before={made[5]['id']}")
    assert (page["data"], page["has_more"]) == (made[3:5], True)


def test_a_thread_list_shows_changes_and_survives_deletes_at_the_cursor(quiet_org: Api) -> None:
    made = [quiet_org.new_thread() for _ in range(6)]
    changed = quiet_org.ok("POST", f"/v1/threads/{made[2]['id']}", {"title": "new"})
    for gone in (made[1], made[3]):
        quiet_org.ok("DELETE", f"/v1/threads/{gone['id']}")
    kept = [made[0], changed, made[4], made[5]]
    assert quiet_org.page("/v1/threads", "order=asc")["data"] == kept
    assert quiet_org.page("/v1/threads", f"order=asc&after={made[1]['id']}")["data"] == kept[1:]
    assert quiet_org.page("/v1/threads", f"order=asc&before={made[3]['id']}")["data"] == kept[:2]


def test_a_thread_cursor_newer_than_the_organisations_newest_is_refused(
    api: Api, quiet_org: Api
) -> None:
    mine = [quiet_org.new_thread() for _ in range(2)]
    newer = api.new_thread()["id"]
    answer = quiet_org.call("GET", f"/v1/threads?after={newer}")
    assert answer.status == 400
    assert answer.error["param"] == "after"
    later = quiet_org.new_thread()
    page = quiet_org.page("/v1/threads", f"order=asc&after={newer}")
    assert page["data"] == [later]
    page = quiet_org.page("/v1/threads", f"order=desc&after={newer}")
    assert page["data"] == mine[::-1]
