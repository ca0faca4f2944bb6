from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragen_actor.token_bucket import (
    UNLIMITED,
    Taken,
    TokenBuckets,
    go_duration,
    rate_limit_headers,
    rate_limit_message,
)

TIERS = {"default": 20, "unlimited": 0, "single": 1, "sevenths": 7}
START = 1_000_000.0


@pytest.fixture
def buckets() -> TokenBuckets:
    return TokenBuckets(TIERS)


def emptied(buckets: TokenBuckets, tier: str = "default", now: float = START) -> Taken:
    """Take all that a fresh key has, and return the refusal that follows."""
    for _ in range(TIERS[tier]):
        assert buckets.take("key", tier, now).allowed
    return buckets.take("key", tier, now)


def test_a_fresh_key_has_a_whole_minutes_requests_at_once(buckets: TokenBuckets) -> None:
    taken = [buckets.take("key", "default", START) for _ in range(21)]

    assert [one.remaining for one in taken] == [*range(19, -1, -1), 0]
    assert [one.allowed for one in taken] == [True] * 20 + [False]
    assert taken[0] == Taken(True, 20, 19, reset_ms=3000)
    assert taken[19] == Taken(True, 20, 0, reset_ms=60_000)
    assert taken[20] == Taken(False, 20, 0, reset_ms=60_000, retry_after_ms=3000)


def test_a_refusal_costs_nothing(buckets: TokenBuckets) -> None:
    refusal = emptied(buckets)

    assert all(buckets.take("key", "default", START) == refusal for _ in range(100))


def test_one_token_comes_back_each_interval(buckets: TokenBuckets) -> None:
    emptied(buckets)

    assert buckets.take("key", "default", START + 3.0) == Taken(True, 20, 0, 60_000)
    assert buckets.take("key", "default", START + 4.5).retry_after_ms == 1500
    assert buckets.take("key", "default", START + 12.0).remaining == 2


def test_a_rested_key_has_no_more_than_a_minutes_requests(buckets: TokenBuckets) -> None:
    emptied(buckets)

    assert buckets.take("key", "default", START + 1e6) == Taken(True, 20, 19, 3000)


@settings(deadline=None)
@given(
    limit=st.integers(1, 1_000_000),
    start=st.floats(0, 1e7),
    steps=st.lists(st.floats(0, 20), max_size=8),
)
def test_who_waits_exactly_as_told_is_let_in_and_who_comes_a_millisecond_early_is_not(
    limit: int, start: float, steps: list[float]
) -> None:
    buckets = TokenBuckets({"default": 20, "tier": limit})
    now = start
    burst = min(limit, 200)
    for step in steps:
        now += step
        for _ in range(burst):
            taken = buckets.take("key", "tier", now)
            if not taken.allowed:
                early = now + (taken.retry_after_ms - 1) / 1000
                assert not buckets.take("key", "tier", early).allowed
                now += taken.retry_after_ms / 1000
                assert buckets.take("key", "tier", now).allowed


@settings(deadline=None)
@given(
    limit=st.integers(1, 60),
    pauses=st.lists(st.one_of(st.just(0.0), st.floats(0, 30)), min_size=1, max_size=200),
)
def test_no_stretch_of_time_lets_in_more_than_the_bucket_and_its_refill(
    limit: int, pauses: list[float]
) -> None:
    buckets = TokenBuckets({"default": limit})
    now = START
    entries: list[float] = []
    for pause in pauses:
        now += pause
        taken = buckets.take("key", "default", now)
        if taken.allowed:
            entries.append(now)
        assert 0 <= taken.remaining < limit
        assert 0 < taken.reset_ms <= 60_000

    for first in range(len(entries)):
        for count, last in enumerate(entries[first:], start=1):
            assert count <= limit + (last - entries[first]) * limit / 60 + 1e-3
    for before, after in pairwise(entries):
        assert before <= after


@pytest.mark.parametrize(("tier", "retry_after_ms"), [("single", 60_000), ("sevenths", 8572)])
def test_a_wait_that_is_no_whole_millisecond_is_rounded_up(
    buckets: TokenBuckets, tier: str, retry_after_ms: int
) -> None:
    assert emptied(buckets, tier).retry_after_ms == retry_after_ms


def test_no_wait_is_longer_than_a_minute(buckets: TokenBuckets) -> None:
    # The official Node client ignores a longer one.
    assert emptied(buckets, "single").retry_after_ms <= 60_000


def test_keys_do_not_share_a_bucket(buckets: TokenBuckets) -> None:
    emptied(buckets)

    assert buckets.take("other", "default", START).remaining == 19


def test_a_tier_that_is_not_configured_counts_as_default_and_is_logged_once(
    buckets: TokenBuckets, caplog: pytest.LogCaptureFixture
) -> None:
    assert [buckets.take("key", "gone", START).limit for _ in range(3)] == [20] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "tier gone is not configured: its keys have the tier default"
    ]


def test_a_request_that_costs_nothing_gives_its_token_back(buckets: TokenBuckets) -> None:
    buckets.take("key", "default", START)
    before = buckets.take("key", "default", START)
    buckets.take("key", "default", START)

    assert buckets.give_back("key", "default", START) == before
    assert buckets.take("key", "default", START).remaining == before.remaining - 1


def test_giving_back_never_fills_a_bucket_beyond_its_rim(buckets: TokenBuckets) -> None:
    buckets.take("key", "default", START)
    for _ in range(3):
        assert buckets.give_back("key", "default", START) == Taken(True, 20, 20, 0)

    assert buckets.take("key", "default", START).remaining == 19


def test_an_unlimited_tier_has_no_bucket_and_no_headers(buckets: TokenBuckets) -> None:
    taken = [buckets.take("key", "unlimited", START) for _ in range(1000)]

    assert taken == [UNLIMITED] * 1000
    assert buckets.give_back("key", "unlimited", START) == UNLIMITED
    assert rate_limit_headers(taken[0]) == {}
    assert len(buckets) == 0


def test_buckets_that_have_filled_up_are_forgotten(buckets: TokenBuckets) -> None:
    for number in range(1000):
        buckets.take(str(number), "default", START)
    assert len(buckets) == 1000

    buckets.take("key", "default", START + 60)
    buckets.take("key", "default", START + 120)

    assert len(buckets) <= 2


def test_a_bucket_that_is_still_filling_is_never_forgotten(buckets: TokenBuckets) -> None:
    buckets.take("other", "default", START)
    emptied(buckets, now=START + 59.9)

    assert not buckets.take("key", "default", START + 60).allowed
    assert buckets.take("key", "default", START + 119.8).remaining == 18
    assert buckets.take("key", "default", START + 119.9).remaining == 18
    assert buckets.take("key", "default", START + 119.9).remaining == 17


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (6, "6ms"),
        (999, "999ms"),
        (1000, "1s"),
        (1010, "1.01s"),
        (8640, "8.64s"),
        (8001, "8.001s"),
        (10_000, "10s"),
        (59_999, "59.999s"),
        (60_000, "1m0s"),
        (61_500, "1m1.5s"),
        (3_600_000, "1h0m0s"),
        (3_660_050, "1h1m0.05s"),
    ],
)
def test_spans_of_time_are_written_as_go_does(milliseconds: int, text: str) -> None:
    assert go_duration(milliseconds) == text


def test_the_headers_of_an_allowed_request_tell_what_is_left() -> None:
    assert rate_limit_headers(Taken(True, 20, 17, reset_ms=8640)) == {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "17",
        "x-ratelimit-reset-requests": "8.64s",
    }


@pytest.mark.parametrize(
    ("retry_after_ms", "seconds"), [(1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")]
)
def test_the_headers_of_a_refusal_tell_when_to_come_back(retry_after_ms: int, seconds: str) -> None:
    assert rate_limit_headers(Taken(False, 20, 0, 60_000, retry_after_ms)) == {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
        "retry-after": seconds,
        "retry-after-ms": str(retry_after_ms),
    }


def test_a_refusal_is_worded_as_openai_does(buckets: TokenBuckets) -> None:
    assert rate_limit_message(emptied(buckets)) == (
        "Rate limit reached for requests per min (RPM): Limit 20, Used 20, Requested 1. "
        "Please try again in 3s."
    )
