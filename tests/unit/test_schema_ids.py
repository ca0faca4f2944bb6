from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragen_actor.schema import ids

quick = settings(derandomize=True, deadline=None, max_examples=50, database=None)


@quick
@given(st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1))
def test_a_thread_id_gives_back_the_key_it_was_made_of(ms: int, counter: int, random: int) -> None:
    assert ids.thread_key(ids.make_thread_id(ms, counter, random)) == ms << 16 | counter


@quick
@given(st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1))
def test_a_message_id_gives_back_its_sequence(ms: int, sequence: int, random: int) -> None:
    assert ids.message_sequence(ids.make_message_id(ms, sequence, random)) == sequence


def test_thread_ids_sort_by_time_and_then_by_counter() -> None:
    made = [ids.make_thread_id(ms, counter, 9 - ms) for ms in (1, 2) for counter in (0, 1, 300)]
    assert made == sorted(made)


def test_ids_have_the_layout_that_is_promised() -> None:
    assert ids.make_thread_id(1, 2, 3) == "thread-00000000000100020000000000000003"
    assert ids.make_message_id(1, 2, 3) == "msg-00000000000100000002000000000003"


NOT_IDS = [
    "",
    "thread-",
    "msg-",
    "thread-" + "0" * 31,
    "thread-" + "0" * 33,
    "thread-" + "A" * 32,
    "thread-" + "0" * 30 + "_0",
    "thread-+" + "0" * 31,
    "thread- " + "0" * 31,
    "thread-" + "٣" * 32,
    "thread-" + "0" * 32 + "\n",
    "thread-" + "0" * 31 + "\x00",
    "Thread-" + "0" * 32,
    "thread_" + "0" * 65,
    "thread_",
    "thread_é",
    "thread_../x",
    "msg-" + "0" * 31,
    "msg-" + "F" * 32,
    "msg-" + "0" * 32 + "\n",
    "msg_",
    "msg_a-b",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", NOT_IDS)
def test_what_is_no_id_names_no_place_and_is_not_well_formed(text: str) -> None:
    assert ids.thread_key(text) is None
    assert ids.message_sequence(text) is None
    assert not ids.is_well_formed("thread", text)
    assert not ids.is_well_formed("message", text)


def test_another_servers_ids_are_well_formed_and_name_no_place_here() -> None:
    assert ids.is_well_formed("thread", "thread_abcXYZ123")
    assert ids.is_well_formed("message", "msg_" + "a" * 64)
    assert ids.thread_key("thread_abcXYZ123") is None
    assert ids.message_sequence("msg_abc") is None


def test_an_id_of_one_kind_is_not_well_formed_as_the_other() -> None:
    thread_id, message_id = ids.make_thread_id(1, 2, 3), ids.make_message_id(1, 2, 3)
    assert ids.is_well_formed("thread", thread_id) and ids.is_well_formed("message", message_id)
    assert not ids.is_well_formed("message", thread_id)
    assert not ids.is_well_formed("thread", message_id)
    assert ids.thread_key(message_id) is None and ids.message_sequence(thread_id) is None
