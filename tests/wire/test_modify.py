from __future__ import annotations

from typing import Any

import pytest

from tests.wire.conftest import files_of
from tests.wire.http_call import Api


@pytest.fixture(params=["POST thread", "PATCH thread", "POST message"])
def target(request: pytest.FixtureRequest, api: Api) -> Any:
    """Modify, by each of the three routes, what was made with metadata `{"a": "1", "b": "2"}`."""
    method, kind = request.param.split()
    metadata = {"a": "1", "b": "2"}
    thread = api.new_thread(metadata=metadata)["id"]
    path = f"/v1/threads/{thread}"
    if kind == "message":
        path += f"/messages/{api.new_message(thread, metadata=metadata)['id']}"

    def modify(payload: object) -> Any:
        modified = api.ok(method, path, payload)
        assert modified == api.ok("GET", path)
        return modified

    modify.call = lambda payload: api.call(method, path, payload)  # type: ignore[attr-defined]
    return modify


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"a": "1", "b": "2"}),
        ({"a": "9"}, {"a": "9", "b": "2"}),
        ({"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ({"a": None}, {"b": "2"}),
        ({"nowhere": None}, {"a": "1", "b": "2"}),
        ({"a": None, "c": ""}, {"b": "2", "c": ""}),
        (None, {}),
    ],
)
def test_metadata_merges_key_by_key(target: Any, given: object, kept: object) -> None:
    assert target({"metadata": given})["metadata"] == kept


def test_an_omitted_field_stays(target: Any) -> None:
    assert target({})["metadata"] == {"a": "1", "b": "2"}


def test_sixteen_pairs_hold_after_the_merge(target: Any) -> None:
    fourteen = {f"k{number}": "v" for number in range(14)}
    assert len(target({"metadata": fourteen})["metadata"]) == 16
    answer = target.call({"metadata": {"one-more": "v"}})
    assert answer.status == 400
    assert answer.error == {
        "message": "Invalid 'metadata': too many properties. Expected an object with at most 16 "
        "properties, but got an object with 17 properties instead.",
        "type": "invalid_request_error",
        "param": "metadata",
        "code": "object_above_max_properties",
    }
    swapped = target({"metadata": {"a": None, "one-more": "v"}})["metadata"]
    assert len(swapped) == 16
    assert "a" not in swapped


def test_title_and_tool_resources_are_replaced_whole(api: Api) -> None:
    first = {"code_interpreter": {"file_ids": ["file-1"]}}
    second = {"file_search": {"vector_store_ids": ["vs_1"]}}
    path = f"/v1/threads/{api.new_thread(title='old', tool_resources=first)['id']}"
    modified = api.ok("PATCH", path, {"tool_resources": second})
    assert (modified["tool_resources"], modified["title"]) == (second, "old")
    modified = api.ok("PATCH", path, {"title": "new"})
    assert (modified["tool_resources"], modified["title"]) == (second, "new")
    modified = api.ok("POST", path, {"title": None, "tool_resources": None})
    assert (modified["tool_resources"], modified["title"]) == ({}, None)
    assert api.ok("POST", path, {"title": ""})["title"] == ""


def test_a_modify_changes_nothing_else(api: Api) -> None:
    thread = api.new_thread()
    path = f"/v1/threads/{thread['id']}"
    assert api.ok("POST", path, {"title": "x"}) == thread | {"title": "x"}
    message = api.new_message(thread["id"])
    modified = api.ok("POST", f"{path}/messages/{message['id']}", {"metadata": {"k": "v"}})
    assert modified == message | {"metadata": {"k": "v"}}
    assert list(modified) == list(message)


@pytest.mark.parametrize("name", ["assistant_id", "messages", "foo", "created_at"])
def test_what_cannot_be_modified_on_a_thread_is_unknown(api: Api, name: str) -> None:
    answer = api.call("POST", f"/v1/threads/{api.new_thread()['id']}", {name: "asst-web"})
    assert answer.status == 400
    assert answer.error == {
        "message": f"Unknown parameter: '{name}'.",
        "type": "invalid_request_error",
        "param": name,
        "code": "unknown_parameter",
    }


@pytest.mark.parametrize("name", ["content", "role", "attachments", "status"])
def test_a_message_keeps_all_but_its_metadata(api: Api, name: str) -> None:
    thread = api.new_thread()["id"]
    path = f"/v1/threads/{thread}/messages/{api.new_message(thread)['id']}"
    answer = api.call("POST", path, {name: "user"})
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (name, "unknown_parameter")


def test_a_message_keeps_its_place_when_modified(api: Api) -> None:
    thread = api.new_thread()["id"]
    made = [api.new_message(thread, str(place))["id"] for place in range(5)]
    api.ok("POST", f"/v1/threads/{thread}/messages/{made[1]}", {"metadata": {"k": "v"}})
    page = api.page(f"/v1/threads/{thread}/messages", "order=asc")
    assert [message["id"] for message in page["data"]] == made
    assert page["data"][1]["metadata"] == {"k": "v"}


def test_a_modify_that_changes_nothing_writes_nothing(api: Api) -> None:
    thread = api.new_thread(metadata={"k": "v"}, title="t")["id"]
    path = f"/v1/threads/{thread}"
    message = f"{path}/messages/{api.new_message(thread, metadata={'k': 'v'})['id']}"
    org = api.server.data_dir / "orgs" / "acme"
    before = (thread_file(api, thread), (org / "catalog.jsonl").stat().st_size)
    same: list[dict[str, object]] = [{}, {"k": "v"}, {"z": None}]
    for metadata in same:
        api.ok("POST", path, {"metadata": metadata})
        api.ok("POST", message, {"metadata": metadata})
    api.ok("POST", message, {})
    api.ok("PATCH", path, {"title": "t"})
    after = (thread_file(api, thread), (org / "catalog.jsonl").stat().st_size)
    assert after == before


def thread_file(api: Api, thread: str) -> int:
    sizes = files_of(api.server.data_dir)
    return next(size for path, size in sizes.items() if path.endswith(f"{thread}.jsonl"))


def test_created_at_never_decreases_within_a_thread(api: Api) -> None:
    thread = api.new_thread()
    for _ in range(5):
        api.new_message(thread["id"])
    times = [
        one["created_at"]
        for one in api.page(f"/v1/threads/{thread['id']}/messages", "order=asc")["data"]
    ]
    assert times == sorted(times)
    assert thread["created_at"] <= times[0]
