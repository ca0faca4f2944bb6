"""`ragen-actor compact`: what was deleted is nowhere on the disk, and all else is as it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from ragen_actor.cli import Exit
from ragen_actor.control_path import SOCKET, control_path
from storage.datadir import META, lock
from tests.operator.command import Ran, holding, run, start
from tests.server_process import ServerProcess

SECRET = "what nobody may read any more"


def client_of(server: ServerProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=server.key, base_url=server.base_url, max_retries=0, timeout=20
    )


async def compacted(server: ServerProcess, *words: str) -> Ran:
    return await asyncio.to_thread(run, "compact", *words, data_dir=server.data_dir)


async def whole(client: openai.AsyncOpenAI, thread: str) -> list[dict[str, Any]]:
    listed = client.beta.threads.messages.list(thread, order="asc", limit=100)
    return [message.to_dict() async for message in listed]


async def with_secrets(client: openai.AsyncOpenAI) -> str:
    """Make a thread that once held a secret in every place, and one that is deleted."""
    threads = client.beta.threads
    turns: Any = [{"role": "user", "content": f"{place}"} for place in range(5)]
    turns[2]["content"] = SECRET
    kept = await threads.create(messages=turns, metadata={"k": SECRET})
    await threads.update(kept.id, metadata={"k": "harmless"}, extra_body={"title": SECRET})
    await threads.update(kept.id, extra_body={"title": "harmless"})
    messages = await whole(client, kept.id)
    await threads.messages.update(messages[1]["id"], thread_id=kept.id, metadata={"k": SECRET})
    await threads.messages.update(messages[1]["id"], thread_id=kept.id, metadata={"k": ""})
    await threads.messages.delete(messages[2]["id"], thread_id=kept.id)
    gone = await threads.create(messages=turns, extra_body={"title": SECRET})
    await threads.delete(gone.id)
    return kept.id


async def test_what_the_first_start_of_a_copy_removes_is_reported(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    async with client_of(own_server) as client:
        await with_secrets(client)
    copy = tmp_path / "copy"
    shutil.copytree(own_server.data_dir, copy, ignore=shutil.ignore_patterns(SOCKET))
    ended = await asyncio.to_thread(run, "compact", data_dir=copy)
    assert ended.code == Exit.FINE
    assert "the files of 1 deleted threads removed" in ended.out
    assert "catalogue" not in ended.err, "nothing to be alarmed at"


async def test_what_was_deleted_is_nowhere_on_the_disk_and_all_else_is_served_as_before(
    own_server: ServerProcess,
) -> None:
    async with client_of(own_server) as client:
        thread = await with_secrets(client)
        assert {path.split("/")[0] for path in holding(own_server.data_dir, SECRET)} == {
            "journal",
            "orgs",
        }
        before = await whole(client, thread), (await client.beta.threads.retrieve(thread)).to_dict()

        ended = await compacted(own_server, "--now")

        assert (ended.code, ended.err) == (Exit.FINE, "")
        assert "2 of 2 files rewritten" in ended.out
        assert "1 deleted threads removed, the journal cleared" in ended.out
        assert holding(own_server.data_dir, SECRET) == []
        after = await whole(client, thread), (await client.beta.threads.retrieve(thread)).to_dict()
        assert after == before
        await client.beta.threads.messages.create(thread, role="user", content="goes on")
        own_server.kill()
        own_server.restart()
        assert (await whole(client, thread))[:-1] == before[0]
        again = await compacted(own_server, "--now")
        assert "0 of 2 files rewritten" in again.out


async def test_writes_that_come_during_a_compaction_are_all_there(
    own_server: ServerProcess,
) -> None:
    async with client_of(own_server) as client:
        threads = [await with_secrets(client) for _ in range(5)]
        told: dict[str, list[dict[str, Any]]] = {
            each: await whole(client, each) for each in threads
        }
        stop = asyncio.Event()

        async def write(thread: str) -> None:
            messages = client.beta.threads.messages
            while not stop.is_set():
                text = f"{len(told[thread])} during"
                made = await messages.create(thread, role="user", content=text)
                told[thread].append(made.to_dict())

        async with asyncio.TaskGroup() as writers:
            for thread in threads:
                writers.create_task(write(thread))
            ended = [await compacted(own_server, "--now") for _ in range(2)]
            stop.set()

        assert [each.code for each in ended] == [Exit.FINE, Exit.FINE]
        assert holding(own_server.data_dir, SECRET) == []
        assert {each: await whole(client, each) for each in threads} == told
        assert all(len(each) > 4 for each in told.values())


async def test_without_a_server_the_command_does_it_itself(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        thread = await with_secrets(client)
        before = await whole(client, thread)
        await asyncio.to_thread(own_server.terminate)

        ended = await compacted(own_server, "--now")

        assert ended.code == Exit.FINE
        assert holding(own_server.data_dir, SECRET) == []
        own_server.restart()
        assert await whole(client, thread) == before


async def test_without_haste_only_what_is_due_is_done(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        await with_secrets(client)
        ended = await compacted(own_server)
        assert (ended.code, ended.err) == (Exit.FINE, "")
        assert "0 of 2 files rewritten, 0 bytes saved, the files of 0 deleted" in ended.out
        assert holding(own_server.data_dir, SECRET)


async def test_files_laid_aside_are_counted(own_server: ServerProcess) -> None:
    (own_server.data_dir / "orgs" / "x.jsonl.torn-7").write_text(SECRET)
    assert "1 files that were laid aside" in (await compacted(own_server, "--now")).out


async def test_a_file_that_cannot_be_rewritten_is_a_failure(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        thread = await with_secrets(client)
        own_server.terminate()
        path = next(own_server.data_dir.rglob(f"{thread}.jsonl"))
        path.write_bytes(path.read_bytes().replace(SECRET.encode(), SECRET.upper().encode()))
        own_server.restart()

        ended = await compacted(own_server, "--now")

        assert ended.code == Exit.FAILED
        assert "1 files could not be rewritten" in ended.err
        assert "ragen-actor check" in ended.err


def test_what_is_no_data_directory_is_a_usage_error_and_none_is_made(tmp_path: Path) -> None:
    ended = run("compact", data_dir=tmp_path / "none")
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert not (tmp_path / "none").exists()


@contextmanager
def silent(data_dir: Path) -> Iterator[None]:
    """Somebody who takes connections on the socket and ends them."""
    with socket.socket(socket.AF_UNIX) as listening, control_path(data_dir) as path:
        listening.bind(path)
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            connection.recv(4096)
            connection.close()

        answering = threading.Thread(target=answer)
        answering.start()
        yield
        answering.join()


@pytest.mark.parametrize("kind", ["no socket", "nobody listens", "no answer"])
def test_a_server_that_does_not_answer_has_an_exit_code_of_its_own(
    tmp_path: Path, kind: str
) -> None:
    data_dir = tmp_path / "data"
    held = lock(data_dir)
    (data_dir / META).write_text("{}")
    try:
        if kind == "nobody listens":
            with socket.socket(socket.AF_UNIX) as left, control_path(data_dir) as path:
                left.bind(path)
        if kind == "no answer":
            with silent(data_dir):
                ended = run("compact", "--now", data_dir=data_dir)
        else:
            ended = run("compact", "--now", data_dir=data_dir)
    finally:
        os.close(held)
    assert (ended.code, ended.out) == (Exit.NO_ANSWER, "")
    assert ended.err.count("\n") == 1
    assert f"does not answer on {SOCKET}" in ended.err
    assert "try again" in ended.err


async def test_interrupting_the_command_harms_nothing(own_server: ServerProcess) -> None:
    async with client_of(own_server) as client:
        thread = await with_secrets(client)
        before = await whole(client, thread)
        with start("compact", "--now", data_dir=own_server.data_dir) as process:
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.communicate, timeout=20)
        async with asyncio.timeout(20):
            while (ended := await compacted(own_server, "--now")).code != Exit.FINE:
                assert "under way already" in ended.err
        assert await whole(client, thread) == before
