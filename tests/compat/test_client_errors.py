from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.compat.conftest import Connect, done
from tests.server_process import ServerProcess

REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


async def caught(
    kind: type[openai.APIStatusError], ask: Callable[..., Any], *words: Any, **named: Any
) -> openai.APIStatusError:
    with pytest.raises(kind) as raised:
        await done(ask(*words, **named))
    error = raised.value
    assert type(error) is kind
    assert REQUEST_ID.fullmatch(error.request_id or "")
    return error


async def test_an_unknown_thread_is_a_not_found_error(threads: Any) -> None:
    error = await caught(openai.NotFoundError, threads.retrieve, "thread-x")
    assert error.status_code == 404
    assert (error.code, error.param, error.type) == (None, None, "invalid_request_error")
    assert error.body == {
        "message": "No thread found with id 'thread-x'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert "No thread found with id 'thread-x'." in error.message


async def test_an_unknown_message_is_a_not_found_error(threads: Any, messages: Any) -> None:
    thread = await done(threads.create())
    error = await caught(openai.NotFoundError, messages.retrieve, "msg-x", thread_id=thread.id)
    assert "No message found with id 'msg-x'." in error.message


async def test_an_id_that_must_be_escaped_arrives_whole(threads: Any) -> None:
    for hostile in ("../../etc/passwd", "a b", "тред", "a%2Fb", "x?y#z"):
        error = await caught(openai.NotFoundError, threads.retrieve, hostile)
        assert f"No thread found with id '{hostile}'." in error.message


async def test_a_bad_role_is_a_bad_request_error(threads: Any, messages: Any) -> None:
    thread = await done(threads.create())
    error = await caught(
        openai.BadRequestError, messages.create, thread.id, role="human", content="x"
    )
    assert error.status_code == 400
    assert (error.code, error.param) == ("invalid_value", "role")
    assert error.type == "invalid_request_error"
    assert "Supported values are: 'user' and 'assistant'." in error.message


async def test_a_bad_limit_is_a_bad_request_error(threads: Any, messages: Any) -> None:
    thread = await done(threads.create())
    error = await caught(openai.BadRequestError, messages.list, thread.id, limit=101)
    assert (error.code, error.param) == ("integer_above_max_value", "limit")


async def test_an_unknown_field_is_a_bad_request_error(threads: Any) -> None:
    error = await caught(openai.BadRequestError, threads.create, extra_body={"foo": 1})
    assert (error.code, error.param) == ("unknown_parameter", "foo")


async def test_an_unknown_key_is_an_authentication_error(
    connect: Connect, server: ServerProcess
) -> None:
    client = connect(server, key="not-a-recognized")
    error = await caught(openai.AuthenticationError, client.beta.threads.create)
    assert error.status_code == 401
    assert error.code == "invalid_api_key"
    assert "Incorrect API key provided: not-a-re****ized." in error.message


async def test_another_organisation_in_the_client_is_an_authentication_error(
    connect: Connect, server: ServerProcess
) -> None:
    own = connect(server, organization="acme", project="web")
    assert (await done(own.beta.threads.create())).object == "thread"
    for options in ({"organization": "globex"}, {"project": "depot"}):
        client = connect(server, **options)
        error = await caught(openai.AuthenticationError, client.beta.threads.create)
        assert error.code == "mismatched_organization"


async def test_what_is_not_there_yet_is_a_not_found_error(client: Any, threads: Any) -> None:
    thread = await done(threads.create())
    await caught(
        openai.NotFoundError, threads.runs.create, thread_id=thread.id, assistant_id="asst-web"
    )
    await caught(openai.NotFoundError, threads.create_and_run, assistant_id="asst-web")
    await caught(openai.NotFoundError, client.get, "/assistants/asst-web", cast_to=object)


async def test_a_raw_response_shows_the_headers(threads: Any, messages: Any) -> None:
    raw = await done(threads.with_raw_response.create(metadata={"k": "v"}))
    assert raw.status_code == 200
    assert REQUEST_ID.fullmatch(raw.headers["x-request-id"])
    assert raw.headers["openai-version"] == "2020-10-01"
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.retries_taken == 0
    thread = raw.parse()
    assert thread.metadata == {"k": "v"}
    assert thread._request_id == raw.headers["x-request-id"]
    listed = await done(messages.with_raw_response.list(thread.id))
    assert listed.http_response.json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
