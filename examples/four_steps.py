"""A chat in four steps: keep the user's turn, read the thread, ask the model, keep its reply.

    pip install openai
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-ragen-YOUR-KEY
    python examples/four_steps.py "Where is my parcel?" "And where is it now?" [--stream]

One client does it all: threads are answered by RAGEN Actor itself, and what generates is passed on
to the server that [upstream] in its config.toml names.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

from openai import OpenAI


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question", nargs="+", help="the user's turns, one after another")
    parser.add_argument("--stream", action="store_true", help="show each reply while it is made")
    parser.add_argument("--model", help="the upstream's name for it (default: its first)")
    arguments = parser.parse_args()
    # The client says that OpenAI's own service gives this API up. This server does not.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    client = OpenAI()
    model = arguments.model or client.models.list().data[0].id
    thread = client.beta.threads.create(metadata={"model": model[:512]})
    print(thread.id)
    for question in arguments.question:
        print("user:", question)
        print("assistant: ", end="")
        for piece in turn(client, thread.id, question, model, stream=arguments.stream):
            print(piece, end="", flush=True)
        print()


def turn(
    client: OpenAI, thread_id: str, question: str, model: str, *, stream: bool
) -> Iterator[str]:
    """Answer one turn of the user's; yield the reply as it comes."""
    messages = client.beta.threads.messages
    messages.create(thread_id, role="user", content=question)  # 1.
    history: list[Any] = [  # 2.
        {"role": each.role, "content": each.content[0].text.value}  # type: ignore[union-attr]
        for each in messages.list(thread_id, order="asc", limit=100)
    ]
    reply = ""
    if stream:  # 3.
        with client.chat.completions.create(model=model, messages=history, stream=True) as chunks:
            for chunk in chunks:
                piece = chunk.choices[0].delta.content if chunk.choices else None
                reply += piece or ""
                yield piece or ""
    else:
        answer = client.chat.completions.create(model=model, messages=history)
        reply = answer.choices[0].message.content or ""
        yield reply
    if reply:  # 4. A message holds at least one character.
        messages.create(thread_id, role="assistant", content=reply)


if __name__ == "__main__":
    main()
