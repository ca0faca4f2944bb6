from __future__ import annotations

import json

import pytest

from tests.dashboard.visitor import Visitor
from tests.wire.http_call import Api


def test_a_thread_made_here_is_one_of_the_api(visitor: Visitor, api: Api) -> None:
    body = {"title": "Parcel", "messages": [{"role": "user", "content": "hello"}]}
    thread = visitor.made("POST", "/threads", body)
    found = api.page(f"/v1/threads/{thread}")
    assert (found["title"], found["assistant_id"]) == ("Parcel", "asst-web")
    [message] = api.page(f"/v1/threads/{thread}/messages")["data"]
    assert message["content"][0]["text"]["value"] == "hello"


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_turn_of_either_role_can_be_added_and_deleted(
    visitor: Visitor, api: Api, role: str
) -> None:
    thread = api.new_thread()["id"]
    turn = visitor.made("POST", f"/threads/{thread}/turns", {"role": role, "content": "hello"})
    [message] = api.page(f"/v1/threads/{thread}/messages")["data"]
    assert (message["id"], message["role"]) == (turn, role)
    assert visitor.made("DELETE", f"/threads/{thread}/turns/{turn}") == turn
    assert api.page(f"/v1/threads/{thread}/messages")["data"] == []
    assert visitor.change("DELETE", f"/threads/{thread}/turns/{turn}").status == 404


def test_title_and_metadata_can_be_changed_and_removed(visitor: Visitor, api: Api) -> None:
    thread = api.new_thread(title="old", metadata={"a": "1", "b": "2"})["id"]
    visitor.made("PATCH", f"/threads/{thread}", {"title": "new"})
    visitor.made("PATCH", f"/threads/{thread}", {"metadata": {"a": None, "c": "3"}})
    found = api.page(f"/v1/threads/{thread}")
    assert (found["title"], found["metadata"]) == ("new", {"b": "2", "c": "3"})


def test_a_thread_can_be_deleted_with_its_turns(visitor: Visitor, api: Api) -> None:
    thread = api.new_thread(messages=[{"role": "user", "content": "hello"}])["id"]
    visitor.made("DELETE", f"/threads/{thread}")
    assert api.call("GET", f"/v1/threads/{thread}").status == 404
    assert visitor.ask("GET", f"/threads/{thread}/turns").status == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"role":"human","content":"x"}', "role"),
        (b'{"role":"user","content":""}', "content"),
        (b'{"role":"user","content":"x","words":1}', "words"),
        (b"{", None),
    ],
)
def test_what_the_api_refuses_is_refused_here_in_the_same_words(
    visitor: Visitor, api: Api, body: bytes, param: str | None
) -> None:
    thread = api.new_thread()["id"]
    here = visitor.ask(
        "POST", f"/threads/{thread}/turns", body=body, headers={"X-CSRF-Token": visitor.csrf}
    )
    there = api.call("POST", f"/v1/threads/{thread}/messages", body=body)
    assert here.status == there.status == 400
    assert here.error == there.error
    assert here.error["param"] == param
    assert api.page(f"/v1/threads/{thread}/messages")["data"] == []


def test_a_download_is_the_thread_and_each_message_on_a_line(visitor: Visitor, api: Api) -> None:
    turns = [{"role": "user", "content": f"turn {number} \u2028"} for number in range(250)]
    thread = api.new_thread(title="Long", messages=turns)
    answer = visitor.ask("GET", f"/threads/{thread['id']}/download")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == f'attachment; filename="{thread["id"]}.jsonl"'
    lines = [json.loads(line) for line in answer.body.split(b"\n")[:-1]]
    assert lines[0] == thread
    assert [line["content"][0]["text"]["value"] for line in lines[1:]] == [
        turn["content"] for turn in turns
    ]
    first = lines[1]["id"]
    assert lines[1] == api.page(f"/v1/threads/{thread['id']}/messages/{first}")
