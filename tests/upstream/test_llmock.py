from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

Start = Callable[..., openai.OpenAI]
SAID: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def model_of(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_call_of_a_tool_comes_through(through_llmock: Start, stream: bool) -> None:
    client = through_llmock()
    asked: Any = {"model": model_of(client), "messages": SAID, "tools": [TOOL]}

    if stream:
        calls = [
            call
            for chunk in client.chat.completions.create(stream=True, **asked)
            for call in (chunk.choices[0].delta.tool_calls or [] if chunk.choices else [])
        ]
        names = [call.function.name for call in calls if call.function and call.function.name]
        arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    else:
        made = client.chat.completions.create(**asked).choices[0].message.tool_calls
        names = [call.function.name for call in made]
        arguments = made[0].function.arguments

    assert names == ["weather"]
    assert "city" in json.loads(arguments)


def test_an_upstreams_429_is_the_clients(through_llmock: Start) -> None:
    client = through_llmock("--rpm", "1")
    model = model_of(client)

    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(5):
            client.chat.completions.create(model=model, messages=SAID)

    assert float(caught.value.response.headers["retry-after"]) > 0


def test_an_upstreams_500_is_the_clients(through_llmock: Start) -> None:
    client = through_llmock("--error-rate", "500=1.0")

    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=SAID)

    assert caught.value.status_code == 500


def test_a_stream_that_breaks_off_raises_in_the_client(through_llmock: Start) -> None:
    client = through_llmock("--stream-fault", "disconnect=1.0")

    with pytest.raises((openai.APIError, json.JSONDecodeError)):
        list(client.chat.completions.create(model="gpt-4o", messages=SAID, stream=True))

    assert client.models.list().data
