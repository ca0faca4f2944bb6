from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator

import pytest

from tests.server_process import KeyOwner, ServerProcess
from tests.wire.http_call import Answer, Api

# Each test drinks a bucket of its own dry. A slow tier makes the counting independent of how long
# the test takes: one token comes in a minute.
DEFAULT_TIER = tuple(KeyOwner(org="thirsty", project=f"p{n}", tier="default") for n in range(5))
SLOW = KeyOwner(org="thirsty", project="slow", tier="slow")
BRISK = KeyOwner(org="thirsty", project="brisk", tier="brisk")
TIERS = "[tiers]\nslow = 1\nbrisk = 600\n"

_projects = itertools.count()


@pytest.fixture(scope="module")
def limited_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data_dir = tmp_path_factory.mktemp("limited") / "data"
    process = ServerProcess(data_dir, config=TIERS, owners=[*DEFAULT_TIER, SLOW, BRISK])
    process.start()
    yield process
    process.close()


@pytest.fixture
def limited(limited_server: ServerProcess) -> Api:
    """A key of the default tier whose bucket is full."""
    return Api(limited_server, limited_server.keys[DEFAULT_TIER[next(_projects)]])


def seconds(duration: str) -> float:
    """Read a Go duration: `6ms`, `8.64s`, `1m0s`."""
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?|(\d+(?:\.\d+)?)ms", duration)
    assert found, duration
    assert duration
    minutes, whole, milliseconds = found.groups()
    return int(minutes or 0) * 60 + float(whole or 0) + float(milliseconds or 0) / 1000


def empty(limited: Api) -> Answer:
    """Ask until the bucket is empty, and return the refusal."""
    for _ in range(20):
        assert limited.call("GET", "/v1/threads").status == 200
    answer = limited.call("GET", "/v1/threads")
    assert answer.status == 429
    return answer


def test_every_answer_counts_the_bucket_down_and_says_when_it_is_full(limited: Api) -> None:
    started = time.monotonic()
    for used in range(1, 21):
        answer = limited.call("GET", "/v1/threads")
        passed = time.monotonic() - started
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit-requests"] == "20"
        assert answer.headers["x-ratelimit-remaining-requests"] == str(20 - used)
        reset = seconds(answer.headers["x-ratelimit-reset-requests"])
        assert 3 * used - passed - 0.001 <= reset <= 3 * used
    assert re.fullmatch(r"1m0s|5\d(\.\d+)?s", answer.headers["x-ratelimit-reset-requests"])


def test_an_empty_bucket_is_429_and_says_to_the_millisecond_when_to_come_back(
    limited: Api,
) -> None:
    answer = empty(limited)
    assert answer.error["type"] == "requests"
    assert (answer.error["param"], answer.error["code"]) == (None, "rate_limit_exceeded")
    said = re.fullmatch(
        r"Rate limit reached .*Limit 20, Used 20, Requested 1\. Please try again in (\S+)\.",
        answer.error["message"],
    )
    assert said
    wait_ms = float(answer.headers["retry-after-ms"])
    assert 0 < wait_ms <= 3000
    assert seconds(said[1]) * 1000 == pytest.approx(wait_ms, abs=1)
    assert answer.headers["retry-after"] == str(max(1, -int(-wait_ms // 1000)))
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.headers["x-ratelimit-limit-requests"] == "20"


def test_a_refusal_costs_nothing(limited: Api) -> None:
    first = float(empty(limited).headers["retry-after-ms"])
    for _ in range(30):
        last = limited.call("POST", "/v1/threads", {})
        assert last.status == 429
    assert float(last.headers["retry-after-ms"]) <= first


def test_every_other_answer_costs_a_token_whatever_it_says(limited: Api) -> None:
    requests: list[tuple[str, str, bytes | None, int]] = [
        ("GET", "/v1/threads/thread-x", None, 404),
        ("POST", "/v1/threads", b"{{{", 400),
        ("GET", "/v1/threads?limit=0", None, 400),
        ("DELETE", "/v1/threads/thread-x/messages/msg-x", None, 404),
        ("POST", "/v1/threads", b"{}", 200),
    ]
    for used, (method, path, body, status) in enumerate(requests, 1):
        answer = limited.call(method, path, body=body)
        assert answer.status == status
        assert answer.headers["x-ratelimit-remaining-requests"] == str(20 - used)


def test_what_is_judged_before_the_bucket_costs_nothing(limited: Api) -> None:
    assert limited.call("GET", "/v1/nowhere").status == 404
    assert limited.call("PUT", "/v1/threads").status == 405
    assert limited.call("GET", "/healthz").status == 200
    assert Api(limited.server, "not-a-recognized").call("GET", "/v1/threads").status == 401
    answer = limited.call("GET", "/v1/threads")
    assert answer.headers["x-ratelimit-remaining-requests"] == "19"


def test_the_bucket_is_judged_before_the_body(limited_server: ServerProcess) -> None:
    slow = Api(limited_server, limited_server.keys[SLOW])
    answer = slow.call("POST", "/v1/threads", body=b"{{{")
    assert answer.status == 400
    assert answer.headers["x-ratelimit-limit-requests"] == "1"
    answer = slow.call("POST", "/v1/threads", body=b"{{{")
    assert answer.status == 429
    assert "Limit 1, Used 1, Requested 1." in answer.error["message"]
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_after_the_wait_it_was_told_a_client_gets_its_token(
    limited_server: ServerProcess,
) -> None:
    """600 a minute is a token each 100 ms; the loop ends with the first refusal."""
    brisk = Api(limited_server, limited_server.keys[BRISK])
    answer = brisk.call("GET", "/v1/threads")
    while answer.status == 200:
        answer = brisk.call("GET", "/v1/threads")
    assert answer.status == 429
    wait_ms = float(answer.headers["retry-after-ms"])
    assert 0 < wait_ms <= 100
    assert answer.headers["retry-after"] == "1"
    time.sleep(wait_ms / 1000)
    assert brisk.call("GET", "/v1/threads").status == 200


def test_an_unlimited_key_is_told_of_no_limit(limited_server: ServerProcess) -> None:
    answer = Api(limited_server, limited_server.key).call("GET", "/v1/threads")
    assert not any(name.startswith("x-ratelimit") for name in answer.headers)
    assert "retry-after" not in answer.headers
