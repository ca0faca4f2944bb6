from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import ListQuery, make_message_id, make_thread_id, parse_list_query

THREAD_ID = make_thread_id(1, 2, 3)
MESSAGE_ID = make_message_id(1, 2, 3)


def refusal(query: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_list_query(query, "message")
    return refused.value


def test_an_empty_query_asks_for_the_newest_twenty() -> None:
    assert parse_list_query("", "thread") == ListQuery(20, "desc", None, None, None)


def test_every_parameter_is_read_and_unquoted() -> None:
    query = f"limit=7&order=asc&after={MESSAGE_ID.replace('-', '%2D')}&run_id=run%5F1+x"
    assert parse_list_query(query, "message") == ListQuery(7, "asc", MESSAGE_ID, None, "run_1 x")
    assert parse_list_query(f"before={THREAD_ID}", "thread").before == THREAD_ID


@pytest.mark.parametrize(
    "query",
    ["after=", "after=&before=", "run_id=", "foo=1", "include[]=x&include%5B%5D=y", "&&=&a", "%"],
)
def test_empty_cursors_arrays_and_unknown_parameters_are_ignored(query: str) -> None:
    assert parse_list_query(query, "message") == ListQuery()


def test_of_a_parameter_given_twice_the_last_one_counts() -> None:
    assert parse_list_query("limit=0&limit=3", "message").limit == 3


@pytest.mark.parametrize("limit", [1, 20, 100])
def test_limits_in_range_are_taken(limit: int) -> None:
    assert parse_list_query(f"limit={limit}", "message").limit == limit
    assert parse_list_query(f"limit=000{limit}", "message").limit == limit


@pytest.mark.parametrize("limit", ["101", "1000", "9" * 200])
def test_a_limit_above_its_maximum_is_refused(limit: str) -> None:
    fault = refusal(f"limit={limit}")
    assert fault.message == (
        "Invalid 'limit': integer above maximum value. "
        f"Expected a value <= 100, but got {limit} instead."
    )
    assert (fault.param, fault.code) == ("limit", "integer_above_max_value")


@pytest.mark.parametrize("limit", ["0", "-0", "00", "-1", "-" + "9" * 200])
def test_a_limit_below_its_minimum_is_refused(limit: str) -> None:
    fault = refusal(f"limit={limit}")
    assert fault.message.startswith(
        "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got "
    )
    assert (fault.param, fault.code) == ("limit", "integer_below_min_value")


@pytest.mark.parametrize(
    "limit", ["", "abc", "1.0", "+5", "%2B5", "%207", "7%0A", "1_0", "0x10", "%D9%A3", "1e1", "--1"]
)
def test_a_limit_that_is_no_integer_is_refused(limit: str) -> None:
    fault = refusal(f"limit={limit}")
    assert (
        fault.message == "Invalid type for 'limit': expected an integer, but got a string instead."
    )
    assert (fault.param, fault.code) == ("limit", "invalid_type")


def test_thousands_of_digits_are_refused_and_not_repeated() -> None:
    assert len(refusal("limit=" + "9" * 60_000).message) < 400


def test_an_order_that_is_neither_is_refused() -> None:
    fault = refusal("order=x")
    assert fault.message == "Invalid value: 'x'. Supported values are: 'asc' and 'desc'."
    assert (fault.param, fault.code) == ("order", "invalid_value")


def test_two_cursors_at_once_are_refused_on_before() -> None:
    fault = refusal(f"after={MESSAGE_ID}&before={MESSAGE_ID}")
    assert (fault.param, fault.code) == ("before", "mutually_exclusive_parameters")
    assert "'after' or 'before'" in fault.message


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("cursor", ["x", "msg-1", THREAD_ID, "msg-%00", "../../etc", "a" * 9000])
def test_a_malformed_cursor_is_refused_by_name(name: str, cursor: str) -> None:
    fault = refusal(f"{name}={cursor}")
    assert fault.message.startswith(f"Invalid '{name}': '")
    assert "begins with 'msg'" in fault.message
    assert (fault.param, fault.code) == (name, "invalid_value")
    assert fault.message.isprintable() and len(fault.message) < 400


def test_another_servers_ids_may_stand_as_cursors() -> None:
    assert parse_list_query("after=msg_abc", "message").after == "msg_abc"
    assert parse_list_query("after=thread_abc", "thread").after == "thread_abc"


NAMES = st.sampled_from(["limit", "order", "after", "before", "run_id", "x[]", "%6cimit", ""])
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.integers().map(str),
    st.sampled_from(["asc", MESSAGE_ID, "%ff", "\udcff", "%", "%u1234", "+"]),
)


@settings(derandomize=True, deadline=None, max_examples=200, database=None)
@given(st.lists(st.tuples(NAMES, VALUES)))
def test_no_query_whatever_raises_anything_but_an_invalid_request(
    pairs: list[tuple[str, str]],
) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    try:
        asked = parse_list_query(query, "message")
    except InvalidRequest as fault:
        assert fault.message.isprintable()
        assert fault.param in ("limit", "order", "after", "before")
    else:
        assert 1 <= asked.limit <= 100
        assert asked.after is None or asked.before is None
