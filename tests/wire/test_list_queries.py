from __future__ import annotations

import pytest

from tests.wire.http_call import Api


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/threads/{thread}/messages"])
@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        (
            "limit=101",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, "
            "but got 101 instead.",
            "integer_above_max_value",
        ),
        (
            "limit=100000000000000000000",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, "
            "but got 100000000000000000000 instead.",
            "integer_above_max_value",
        ),
        (
            "limit=0",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, "
            "but got 0 instead.",
            "integer_below_min_value",
        ),
        (
            "limit=-1",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, "
            "but got -1 instead.",
            "integer_below_min_value",
        ),
        (
            "order=x",
            "Invalid value: 'x'. Supported values are: 'asc' and 'desc'.",
            "invalid_value",
        ),
        (
            "order=ASC",
            "Invalid value: 'ASC'. Supported values are: 'asc' and 'desc'.",
            "invalid_value",
        ),
    ],
)
def test_a_bad_list_query_is_refused(
    api: Api, path: str, query: str, message: str, code: str
) -> None:
    path = path.format(thread=api.new_thread()["id"])
    answer = api.call("GET", f"{path}?{query}")
    assert answer.status == 400
    assert answer.error == {
        "message": message,
        "type": "invalid_request_error",
        "param": query.split("=")[0],
        "code": code,
    }


@pytest.mark.parametrize(
    "limit", ["abc", "7.5", "1_0", "1e1", "0x10", "%D9%A3", "true", "9" * 5000]
)
def test_a_limit_that_is_no_integer_is_refused(api: Api, limit: str) -> None:
    answer = api.call("GET", f"/v1/threads?limit={limit}")
    assert answer.status == 400
    assert answer.error["param"] == "limit"
    if len(limit) < 100:
        assert answer.error["code"] == "invalid_type"
        assert answer.error["message"].startswith("Invalid type for 'limit': expected an integer")
