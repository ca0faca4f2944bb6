from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.generation.passing import Passing, events
from tests.server_process import ServerProcess

CHAT = "/chat/completions"
FIRST, LAST = b"data: 1\n\n", b"data: [DONE]\n\n"


@pytest.mark.parametrize("patient", [True, False], ids=["it ends in time", "it does not"])
async def test_a_server_told_to_stop_ends_well_with_a_stream_in_hand(
    tmp_path: Path, both: Passing, patient: bool
) -> None:
    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = await events(request)
        await response.write(FIRST)
        await go_on.wait()
        await response.write(LAST)
        return response

    go_on = asyncio.Event()
    both.handler = stream
    config = f'[upstream]\nbase_url = "{both.server.upstream._base_url}"\n[server]\n'
    server = ServerProcess(
        tmp_path / "own" / "data", config=f"{config}shutdown_seconds = {10 if patient else 1}\n"
    )
    await asyncio.to_thread(server.start)
    key = {"Authorization": f"Bearer {server.key}"}
    async with (
        aiohttp.ClientSession(headers=key) as session,
        session.post(server.base_url + CHAT) as answer,
    ):
        assert await answer.content.readany() == FIRST
        end = asyncio.create_task(asyncio.to_thread(server.terminate))
        while "stopping" not in server.log:
            await asyncio.sleep(0.01)
        if patient:
            go_on.set()
        rest = await answer.content.read()

    assert await end == 0
    assert (rest == LAST) is patient
    assert (b"The server is shutting down" in rest) is not patient
    assert "Traceback" not in server.log
