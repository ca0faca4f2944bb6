from __future__ import annotations

import pytest

from ragen_actor.errors import InvalidRequest
from ragen_actor.schema import merge_metadata


def test_given_keys_are_set_null_ones_removed_and_all_others_stay() -> None:
    current = {"a": "1", "b": "2", "c": "3"}
    assert merge_metadata(current, {"b": "", "c": None, "d": "4", "no": None}) == {
        "a": "1",
        "b": "",
        "d": "4",
    }
    assert current == {"a": "1", "b": "2", "c": "3"}


def test_null_removes_every_pair() -> None:
    assert merge_metadata({"a": "1"}, None) == {}


def test_sixteen_pairs_hold_after_the_merge_and_not_before() -> None:
    current = {f"k{n}": "" for n in range(16)}
    change: dict[str, str | None] = {"k0": None, "new": "x"}
    assert len(merge_metadata(current, change)) == 16
    with pytest.raises(InvalidRequest) as refused:
        merge_metadata(current, {"new": "x"})
    assert refused.value.message == (
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead."
    )
    assert (refused.value.param, refused.value.code) == ("metadata", "object_above_max_properties")
