from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server_process import ServerProcess
from tests.wire.http_call import Api

ORIGIN = "https://app.example"
WISHES = (
    "authorization, content-type, openai-beta, openai-organization, openai-project, "
    "idempotency-key, x-stainless-lang, x-stainless-retry-count"
)
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": WISHES,
}


def test_every_answer_has_a_request_id_of_its_own(api: Api, no_key: Api) -> None:
    answers = [
        api.call("POST", "/v1/threads"),
        api.call("GET", "/v1/threads"),
        api.call("GET", "/v1/nowhere"),
        api.call("PUT", "/v1/threads"),
        api.call("POST", "/v1/threads", body=b"{{{"),
        no_key.call("GET", "/v1/threads"),
        no_key.call("GET", "/healthz"),
    ]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


def test_the_server_does_not_take_a_request_id_from_the_client(api: Api) -> None:
    given = "req_" + "0" * 32
    answer = api.call("GET", "/v1/threads", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] != given


def test_the_beta_header_is_never_required_nor_harmful(api: Api) -> None:
    assert api.call("GET", "/v1/threads").status == 200
    for value in ("assistants=v2", "assistants=v1", "x"):
        assert api.call("GET", "/v1/threads", headers={"OpenAI-Beta": value}).status == 200


def test_cross_origin_calls_are_off_by_default(api: Api) -> None:
    assert api.call("OPTIONS", "/v1/threads", headers=PREFLIGHT).status == 405
    answer = api.call("GET", "/v1/threads", headers={"Origin": ORIGIN})
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture(scope="module")
def cors_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(
        tmp_path_factory.mktemp("cors") / "data",
        config=f'[server]\ncors_origins = ["{ORIGIN}"]\n',
    )
    process.start()
    yield process
    process.close()


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/threads/t", "/v1/threads/t/messages/m"])
def test_a_preflight_is_answered_204_without_a_key(cors_server: ServerProcess, path: str) -> None:
    answer = Api(cors_server, "").call("OPTIONS", path, headers=PREFLIGHT)
    assert answer.status == 204
    assert answer.body == b""
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(",")
    assert {name.strip() for name in WISHES.split(",")} <= {name.strip() for name in allowed}


def test_answers_and_errors_are_readable_from_a_configured_origin(
    cors_server: ServerProcess,
) -> None:
    api = Api(cors_server, cors_server.key)
    for path, status in [("/v1/threads", 200), ("/v1/threads/thread-x", 404), ("/v1/x", 404)]:
        answer = api.call("GET", path, headers={"Origin": ORIGIN})
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    answer = Api(cors_server, "").call("GET", "/v1/threads", headers={"Origin": ORIGIN})
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_another_origin_is_not_let_in(cors_server: ServerProcess) -> None:
    api = Api(cors_server, cors_server.key)
    answer = api.call("GET", "/v1/threads", headers={"Origin": "https://evil.example"})
    assert answer.headers.get("access-control-allow-origin") is None
