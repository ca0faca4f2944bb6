from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from storage.index import ENTRY_BYTES, Index


def index_of(keys: list[int], lengths: list[int] | None = None) -> Index:
    index = Index()
    offset = 100
    for key, length in zip(keys, lengths or [10] * len(keys), strict=True):
        index.apply("m", key, offset, length)
        offset += length
    return index


KEYS = st.lists(st.integers(1, 60), unique=True, max_size=30).map(sorted)
CURSOR = st.integers(0, 65)
LIMIT = st.integers(1, 12)


def travelled(
    keys: list[int], lengths: list[int], limit: int, bytes_max: int
) -> tuple[list[int], bool]:
    """Take keys one by one until the page is full: what a page is, said slowly."""
    page: list[int] = []
    total = 0
    for key, length in zip(keys, lengths, strict=True):
        if len(page) == limit or (page and total + length > bytes_max):
            break
        page.append(key)
        total += length
    return page, len(page) < len(keys)


@given(keys=KEYS, limit=LIMIT, cursor=st.none() | CURSOR, ascending=st.booleans(), data=st.data())
def test_after_a_cursor_follows_what_the_order_says(
    keys: list[int], limit: int, cursor: int | None, ascending: bool, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=len(keys), max_size=len(keys)))
    bytes_max = data.draw(st.integers(1, 200))
    index = index_of(keys, lengths)
    rest = [
        (key, length)
        for key, length in sorted(zip(keys, lengths, strict=True), reverse=not ascending)
        if cursor is None or (key > cursor if ascending else key < cursor)
    ]
    expected = travelled([key for key, _ in rest], [size for _, size in rest], limit, bytes_max)
    positions, more = index.page(
        limit=limit, ascending=ascending, after=cursor, before=None, bytes_max=bytes_max
    )
    assert ([index.keys[each] for each in positions], more) == expected


@given(keys=KEYS, limit=LIMIT, cursor=CURSOR, ascending=st.booleans(), data=st.data())
def test_before_a_cursor_stand_its_nearest_neighbours_in_the_same_order(
    keys: list[int], limit: int, cursor: int, ascending: bool, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=len(keys), max_size=len(keys)))
    bytes_max = data.draw(st.integers(1, 200))
    index = index_of(keys, lengths)
    # Travel goes backwards from the cursor; the page is then turned round.
    rest = [
        (key, length)
        for key, length in sorted(zip(keys, lengths, strict=True), reverse=ascending)
        if (key < cursor if ascending else key > cursor)
    ]
    page, more = travelled([key for key, _ in rest], [size for _, size in rest], limit, bytes_max)
    positions, found_more = index.page(
        limit=limit, ascending=ascending, after=None, before=cursor, bytes_max=bytes_max
    )
    assert ([index.keys[each] for each in positions], found_more) == (page[::-1], more)


@given(
    st.lists(st.tuples(st.sampled_from("mmuuxh"), st.integers(1, 20), st.integers(1, 99))),
)
def test_an_index_holds_the_newest_version_of_what_is_live(
    records: list[tuple[str, int, int]],
) -> None:
    index = Index()
    live: dict[int, tuple[int, int]] = {}
    newest = 0
    for offset, (kind, key, length) in enumerate(records, 1):
        if kind == "m":
            key = newest = newest + 1
            live[key] = (offset, length)
        elif kind == "u" and key in live:
            live[key] = (offset, length)
        elif kind == "x":
            live.pop(key, None)
        index.apply(kind, key, offset, length)
    assert list(index.keys) == sorted(live)
    assert len(index) == len(live)
    assert index.last_key == newest
    assert index.records == len(records)
    for key in range(22):
        position = index.find(key)
        assert (position is not None) == (key in live)
        if position is not None:
            assert (index.offsets[position], index.lengths[position]) == live[key]


def test_an_entry_takes_twenty_bytes_in_memory() -> None:
    small, large = index_of(list(range(1, 101))), index_of(list(range(1, 1101)))
    assert large.memory_bytes - small.memory_bytes == 1000 * 24 == 1000 * ENTRY_BYTES


def test_a_lookup_among_a_hundred_thousand_keys_is_a_bisection() -> None:
    keys = list(range(3, 300_003, 3))
    index = index_of(keys)
    assert index.find(150_000) == bisect_left(keys, 150_000)
    assert index.find(150_001) is None
