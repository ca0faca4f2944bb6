"""What costs a stranger little must cost the server little."""

from __future__ import annotations

import gzip
import select
import time
from collections.abc import Callable

from tests.server_process import ServerProcess
from tests.wire.http_call import Api, Wire, request_bytes

CLOSED_SECONDS_MAX = 15.0


def test_a_compressed_body_is_refused_and_never_unpacked(tight: Api) -> None:
    body = gzip.compress(b"{}")
    answer = tight.call("POST", "/v1/threads", body=body, headers={"Content-Encoding": "gzip"})
    assert answer.status == 415
    assert "Content-Encoding" in answer.error["message"]
    named = tight.call("POST", "/v1/threads", body=b"[]", headers={"Content-Encoding": "identity"})
    assert named.error["code"] == "invalid_type", "it was read"


def test_a_client_that_reads_no_answers_is_cut_off(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(config="[server]\nbody_seconds_max = 1\n")
    ask = request_bytes("GET", "/healthz", server.key) * 64
    with Wire(server) as wire:
        wire.socket.setblocking(False)
        deadline = time.monotonic() + CLOSED_SECONDS_MAX
        cut_off = False
        while not cut_off:
            assert time.monotonic() < deadline, "it still holds the connection"
            select.select([], [wire.socket], [], 0.1)
            try:
                wire.socket.send(ask)
            except BlockingIOError:
                continue
            except OSError:
                cut_off = True
    assert Api(server, server.key).call("GET", "/v1/threads").status == 200


def test_a_target_with_its_host_is_the_same_target(api: Api) -> None:
    with Wire(api.server) as wire:
        wire.send(request_bytes("GET", "http://example.org/v1/threads?limit=1", api.key))
        answer = wire.answer()
    assert answer is not None
    assert answer.status == 200


def test_an_empty_organisation_header_counts_as_none(api: Api) -> None:
    headers = {"OpenAI-Organization": "", "OpenAI-Project": ""}
    assert api.call("GET", "/v1/threads", headers=headers).status == 200


def test_a_connection_whose_body_was_not_read_says_that_it_ends(tight: Api) -> None:
    answer = tight.call("POST", "/v1/threads", body=b" " * 100_000)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
