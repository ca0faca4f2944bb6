from __future__ import annotations

from ragen_actor.keyring import create_key
from tests.generation.passing import Passing, answering

MODELS = "/v1/models"
THREADS = "/v1/threads"


def of_default_tier(both: Passing) -> dict[str, str]:
    """Make a key of the default tier, and return the header that it goes in."""
    gate = both.server.gate
    assert gate.api is not None
    path = gate.api.keyring._path
    token, _ = create_key(path.parent, "acme", "web", "default", "", 1.0)
    gate.api.keyring.refresh()
    return {"Authorization": f"Bearer {token}"}


async def test_generation_has_tokens_of_its_own(tight: Passing) -> None:
    key = of_default_tier(tight)
    statuses = []

    for path in (*[MODELS] * 4, *[THREADS] * 3, MODELS):
        async with tight.server.session.get(path, headers=key) as answer:
            statuses.append(answer.status)

    assert statuses == [200, 200, 200, 429, 200, 200, 429, 429]
    assert len(tight.seen) == 3


async def test_a_refusal_for_the_rate_carries_our_own_headers(tight: Passing) -> None:
    tight.handler = answering("{}", headers=[("x-ratelimit-limit-requests", "9000")])
    key = of_default_tier(tight)
    limits = []

    for _ in range(4):
        async with tight.server.session.get(MODELS, headers=key) as answer:
            limits.append(answer.headers.getall("x-ratelimit-limit-requests"))
            body = await answer.json(content_type=None)

    assert limits == [["9000"], ["9000"], ["9000"], ["3"]]
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert body["error"]["code"] == "rate_limit_exceeded"


async def test_an_upstream_that_says_nothing_of_limits_leaves_ours(tight: Passing) -> None:
    key = of_default_tier(tight)

    async with tight.server.session.get(MODELS, headers=key) as answer:
        assert answer.headers["x-ratelimit-limit-requests"] == "3"
        assert answer.headers["x-ratelimit-remaining-requests"] == "2"


async def test_a_refusal_for_want_of_room_costs_no_token(tight: Passing) -> None:
    key = of_default_tier(tight)
    tight.server.upstream._requests_max = 0

    for _ in range(5):
        async with tight.server.session.get(MODELS, headers=key) as answer:
            assert answer.status == 503
            assert answer.headers["x-ratelimit-remaining-requests"] == "3"
