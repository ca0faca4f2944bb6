from __future__ import annotations

import time

import pytest

from tests.wire.http_call import MESSAGE_ID, THREAD_ID, Api

MESSAGE_KEYS = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "role",
    "content",
    "attachments",
    "metadata",
    "status",
    "completed_at",
    "incomplete_at",
    "incomplete_details",
]


def test_a_thread_has_exactly_these_members_in_this_order(api: Api) -> None:
    before = int(time.time())
    thread = api.new_thread()
    assert list(thread.items()) == [
        ("id", thread["id"]),
        ("object", "thread"),
        ("created_at", thread["created_at"]),
        ("metadata", {}),
        ("tool_resources", {}),
        ("title", None),
        ("assistant_id", "asst-web"),
    ]
    assert THREAD_ID.fullmatch(thread["id"])
    assert isinstance(thread["created_at"], int)
    assert before <= thread["created_at"] <= time.time()


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_message_has_exactly_these_members_in_this_order(api: Api, role: str) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread, "Hi!", role=role)
    assert list(message) == MESSAGE_KEYS
    assert message == {
        "id": message["id"],
        "object": "thread.message",
        "created_at": message["created_at"],
        "assistant_id": None,
        "thread_id": thread,
        "run_id": None,
        "role": role,
        "content": [{"type": "text", "text": {"value": "Hi!", "annotations": []}}],
        "attachments": [],
        "metadata": {},
        "status": "completed",
        "completed_at": message["created_at"],
        "incomplete_at": None,
        "incomplete_details": None,
    }
    assert MESSAGE_ID.fullmatch(message["id"])
    assert isinstance(message["created_at"], int)


def test_what_create_answered_is_what_every_read_answers_byte_for_byte(api: Api) -> None:
    created = api.call("POST", "/v1/threads", {"metadata": {"k": "ü"}, "title": "Grüße 😀"})
    thread_path = f"/v1/threads/{created.json['id']}"
    assert api.call("GET", thread_path).body == created.body
    message = api.call(
        "POST", f"{thread_path}/messages", {"role": "user", "content": "\x00\u2028é"}
    )
    assert api.call("GET", f"{thread_path}/messages/{message.json['id']}").body == message.body
    assert message.body in api.call("GET", f"{thread_path}/messages").body


def test_what_a_create_says_is_kept(api: Api) -> None:
    fields = {
        "metadata": {"channel": "support", "empty": ""},
        "tool_resources": {
            "code_interpreter": {"file_ids": ["file-1", "file-2"]},
            "file_search": {"vector_store_ids": ["vs_1"]},
        },
        "title": "A title",
        "assistant_id": "asst-web",
    }
    thread = api.new_thread(**fields)
    assert {name: thread[name] for name in fields} == fields
    assert api.ok("GET", f"/v1/threads/{thread['id']}") == thread


def test_a_vector_store_to_be_made_is_accepted_and_dropped(api: Api) -> None:
    helper = {"file_search": {"vector_stores": [{"file_ids": ["file-1"]}]}}
    thread = api.new_thread(tool_resources=helper)
    assert "vector_stores" not in str(thread["tool_resources"])


@pytest.mark.parametrize(
    "name", ["metadata", "tool_resources", "title", "assistant_id", "messages"]
)
def test_null_on_create_equals_omission(api: Api, name: str) -> None:
    thread = api.new_thread(**{name: None})
    assert thread == api.new_thread() | {"id": thread["id"], "created_at": thread["created_at"]}


def test_null_metadata_and_attachments_of_a_message_equal_omission(api: Api) -> None:
    message = api.new_message(api.new_thread()["id"], metadata=None, attachments=None)
    assert message["metadata"] == {}
    assert message["attachments"] == []


def test_old_file_ids_are_ignored(api: Api) -> None:
    turn = {"role": "user", "content": "x", "file_ids": ["file-1"]}
    thread = api.new_thread(file_ids=["file-1"], messages=[turn])
    assert "file_ids" not in thread
    assert "file_ids" not in api.new_message(thread["id"], file_ids=["file-1"])


def test_an_assistant_of_another_project_of_the_organisation_is_bound(
    api: Api, other_project: Api
) -> None:
    assert api.new_thread(assistant_id="asst-mobile")["assistant_id"] == "asst-mobile"
    assert other_project.new_thread()["assistant_id"] == "asst-mobile"


@pytest.mark.parametrize("assistant", ["asst-nowhere", "asst-depot", "asst-", "web"])
def test_an_assistant_that_is_not_the_organisations_is_404(api: Api, assistant: str) -> None:
    answer = api.call("POST", "/v1/threads", {"assistant_id": assistant})
    assert answer.status == 404
    assert answer.error["message"] == f"No assistant found with id '{assistant}'."


def test_deleted_objects_say_so_once(api: Api) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    path = f"/v1/threads/{thread}/messages/{message}"
    assert list(api.ok("DELETE", path).items()) == [
        ("id", message),
        ("object", "thread.message.deleted"),
        ("deleted", True),
    ]
    assert api.call("DELETE", path).error["message"] == f"No message found with id '{message}'."
    assert list(api.ok("DELETE", f"/v1/threads/{thread}").items()) == [
        ("id", thread),
        ("object", "thread.deleted"),
        ("deleted", True),
    ]


def test_after_a_thread_is_deleted_every_route_under_it_is_404(api: Api) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    path = f"/v1/threads/{thread}"
    api.ok("DELETE", path)
    turn = {"role": "user", "content": "x"}
    for method, url, payload in [
        ("GET", path, None),
        ("POST", path, {}),
        ("PATCH", path, {}),
        ("DELETE", path, None),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", turn),
        ("GET", f"{path}/messages/{message}", None),
        ("POST", f"{path}/messages/{message}", {}),
        ("DELETE", f"{path}/messages/{message}", None),
    ]:
        answer = api.call(method, url, payload)
        assert answer.status == 404, (method, url)
        assert answer.error["message"] == f"No thread found with id '{thread}'."


def test_another_organisations_thread_is_as_one_that_never_existed(
    api: Api, other_org: Api
) -> None:
    thread = api.new_thread()["id"]
    message = api.new_message(thread)["id"]
    path = f"/v1/threads/{thread}"
    for method, url in [
        ("GET", path),
        ("POST", path),
        ("DELETE", path),
        ("GET", f"{path}/messages"),
        ("GET", f"{path}/messages/{message}"),
        ("DELETE", f"{path}/messages/{message}"),
    ]:
        answer = other_org.call(method, url)
        assert answer.status == 404, (method, url)
        assert answer.error["message"] == f"No thread found with id '{thread}'."
    assert thread not in str(other_org.page("/v1/threads", "limit=100"))
    assert api.ok("GET", path)["id"] == thread


def test_projects_of_one_organisation_share_its_threads(api: Api, other_project: Api) -> None:
    thread = other_project.new_thread()
    assert api.ok("GET", f"/v1/threads/{thread['id']}") == thread


def test_a_message_belongs_to_its_thread_only(api: Api) -> None:
    message = api.new_message(api.new_thread()["id"])["id"]
    answer = api.call("GET", f"/v1/threads/{api.new_thread()['id']}/messages/{message}")
    assert answer.status == 404
    assert answer.error["message"] == f"No message found with id '{message}'."
