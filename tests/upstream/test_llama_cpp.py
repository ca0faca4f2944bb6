from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import openai
import pytest

from tests.server_process import ROOT, ServerProcess

EXAMPLE = ROOT / "examples" / "four_steps.py"
SAID: Any = [{"role": "user", "content": "Where is my parcel?"}]
NONSENSE: Any = "none"
SAME: Any = {"model": "tiny", "seed": 7, "temperature": 0.0, "max_tokens": 40}
VARYING = {"id", "created", "timings", "cached_tokens"}


def lasting(thing: Any) -> Any:
    """What does not change from one answer to the next: no ids, no times, nothing of a cache."""
    if isinstance(thing, dict):
        return {key: lasting(value) for key, value in thing.items() if key not in VARYING}
    return [lasting(each) for each in thing] if isinstance(thing, list) else thing


def listed(events: Iterable[Any]) -> list[Any]:
    return [lasting(event.model_dump()) for event in events]


@pytest.mark.parametrize("options", [[], ["--stream"]], ids=["whole", "streamed"])
def test_the_example_keeps_what_it_shows(
    model_server: ServerProcess, through: openai.OpenAI, options: list[str]
) -> None:
    environ = os.environ | {
        "OPENAI_BASE_URL": model_server.base_url,
        "OPENAI_API_KEY": model_server.key,
    }

    ran = subprocess.run(
        [sys.executable, str(EXAMPLE), "Where is it?", "And now?", *options],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    thread_id, _, shown = ran.stdout.partition("\n")
    kept = [
        (each.role, each.content[0].text.value)  # type: ignore[union-attr]
        for each in through.beta.threads.messages.list(thread_id, order="asc")
    ]
    assert [role for role, _ in kept] == ["user", "assistant"] * 2
    assert shown == "".join(f"{role}: {text}\n" for role, text in kept)


def test_a_stream_gives_the_same_chunks_as_the_upstream_itself(
    through: openai.OpenAI, direct: openai.OpenAI
) -> None:
    usage: Any = {"include_usage": True}
    ours, theirs = (
        listed(
            client.chat.completions.create(messages=SAID, stream=True, stream_options=usage, **SAME)
        )
        for client in (through, direct)
    )

    assert ours == theirs
    assert len(ours) > 5
    assert ours[-1]["usage"]["completion_tokens"] > 0


def test_a_whole_answer_is_the_same_as_the_upstreams(
    through: openai.OpenAI, direct: openai.OpenAI
) -> None:
    ours, theirs = (
        lasting(client.chat.completions.create(messages=SAID, **SAME).model_dump())
        for client in (through, direct)
    )

    assert ours == theirs


def test_the_newer_api_streams_too(through: openai.OpenAI, direct: openai.OpenAI) -> None:
    ours, theirs = (
        [
            event.type
            for event in client.responses.create(
                model="tiny", input="Hi", temperature=0.0, max_output_tokens=20, stream=True
            )
        ]
        for client in (through, direct)
    )

    assert ours == theirs
    assert ours[-1] == "response.completed"


def test_models_are_the_upstreams(through: openai.OpenAI, direct: openai.OpenAI) -> None:
    assert [each.id for each in through.models.list()] == [each.id for each in direct.models.list()]


def test_an_error_is_the_upstreams(through: openai.OpenAI, direct: openai.OpenAI) -> None:
    bodies = []
    for client in (through, direct):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(messages=NONSENSE, model="tiny")
        bodies.append(caught.value.body)

    assert bodies[0] == bodies[1]


def test_a_stream_that_is_left_early_leaves_the_next_one_alone(through: openai.OpenAI) -> None:
    for _ in range(5):
        with through.chat.completions.create(
            messages=SAID,
            model="tiny",
            stream=True,
            max_tokens=2000,
            extra_body={"ignore_eos": True},
        ) as stream:
            next(iter(stream))

    assert through.chat.completions.create(messages=SAID, **SAME).choices[0].message.content
