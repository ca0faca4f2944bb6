from __future__ import annotations

import http.client
from collections.abc import Iterator

import openai
import pytest

from tests.compat.conftest import Connect, done, every
from tests.server_process import KeyOwner, ServerProcess

# A token each 200 ms: the clients wait for real, but not for long. Each test has its own bucket.
BRISK = [KeyOwner(project=f"brisk-{number}", tier="brisk") for number in range(6)]
FEW = [KeyOwner(project=f"few-{number}", tier="few") for number in range(3)]
TIERS = "[tiers]\nbrisk = 300\nfew = 1\n"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data_dir = tmp_path_factory.mktemp("brisk") / "data"
    process = ServerProcess(data_dir, config=TIERS, owners=[*BRISK, *FEW])
    process.start()
    yield process
    process.close()


@pytest.fixture
def empty_key(limited: ServerProcess) -> str:
    """A key that has just had its last token."""
    key = limited.keys[BRISK.pop()]
    connection = http.client.HTTPConnection("127.0.0.1", limited.port, timeout=10)
    status = 200
    while status == 200:
        connection.request("GET", "/v1/threads", headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        response.read()
        status = response.status
    connection.close()
    assert status == 429
    return key


async def test_a_client_out_of_tokens_waits_and_goes_on_by_itself(
    connect: Connect, limited: ServerProcess, empty_key: str
) -> None:
    threads = connect(limited, key=empty_key).beta.threads
    raws = [await done(threads.with_raw_response.create()) for _ in range(3)]
    assert sum(raw.retries_taken for raw in raws) >= 1
    listed = await done(threads.messages.list(raws[0].parse().id))
    assert listed.data == []


async def test_a_client_that_waits_posts_nothing_twice(
    connect: Connect, limited: ServerProcess, empty_key: str
) -> None:
    threads = connect(limited, key=empty_key, max_retries=10).beta.threads
    thread = await done(threads.create())
    for place in range(2):
        await done(threads.messages.create(thread.id, role="user", content=str(place)))
    found = await every(threads.messages.list(thread.id, order="asc"))
    assert [message.content[0].text.value for message in found] == ["0", "1"]


async def test_a_client_that_may_not_retry_is_told_to_wait(
    connect: Connect, limited: ServerProcess
) -> None:
    client = connect(limited, key=limited.keys[FEW.pop()], max_retries=0)
    await done(client.beta.threads.create())
    with pytest.raises(openai.RateLimitError) as raised:
        await done(client.beta.threads.create())
    error = raised.value
    assert error.status_code == 429
    assert (error.type, error.code) == ("requests", "rate_limit_exceeded")
    assert "Limit 1, Used 1, Requested 1. Please try again in" in error.message
    assert 0 < float(error.response.headers["retry-after-ms"]) <= 60_000
