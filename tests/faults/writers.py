"""Clients on threads of their own that write all at once, and note every answer in a ledger."""

from __future__ import annotations

import http.client
import math
import random
import threading
from collections import Counter
from contextlib import suppress

from tests.faults.ledger import Conversation, Entry, Ledger
from tests.faults.plain_http import PlainClient, Reply

_PAUSE_SECONDS = 0.02
"""What a refused client waits, so that one that is refused at once does not spin."""


class Writers:
    """Threads that write to one organisation until they are stopped or the server is gone.

    Args:
        ledger: What they note.
        port: The server's.
        key: A key of the organisation.
        seed: Of what they do.
        count: How many they are.
        padding: Characters of a turn at most.
        creates: How often, of all their requests, they create a thread.
        threads_max: With so many, they delete a thread instead.

    Attributes:
        replies: How many answers of each status there were.
        failures: One answer of each kind that was not a success.
        broken: What a client met that it must never meet.
    """

    def __init__(
        self,
        ledger: Ledger,
        port: int,
        key: str,
        *,
        seed: str,
        count: int = 6,
        padding: int = 600,
        creates: float = 0.06,
        threads_max: float = math.inf,
    ) -> None:
        self.replies: Counter[int] = Counter()
        self.failures: dict[tuple[int, str], Reply] = {}
        self.broken: list[str] = []
        self._ledger = ledger
        self._port, self._key, self._seed = port, key, seed
        self._padding, self._creates, self._threads_max = padding, creates, threads_max
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._acknowledged = 0
        self._ended = 0
        self._threads = [
            threading.Thread(target=self._write, args=(number,), name=f"writer-{number}")
            for number in range(count)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert not self.broken, self.broken

    def wait_for(self, acknowledged: int, *, seconds: float = 60.0) -> None:
        """Return when so many more writes are acknowledged, or every writer has ended."""
        with self._progress:
            wanted = self._acknowledged + acknowledged
            came = self._progress.wait_for(
                lambda: self._acknowledged >= wanted or self._ended == len(self._threads), seconds
            )
        assert came, f"{acknowledged} writes took more than {seconds} s; {self.replies}"

    def wait_for_failure(self, *, seconds: float = 60.0) -> None:
        """Return when one more write was answered with an error, or every writer has ended."""
        with self._progress:
            wanted = sum(self.replies.values()) - self._acknowledged + 1
            came = self._progress.wait_for(
                lambda: (
                    sum(self.replies.values()) - self._acknowledged >= wanted
                    or self._ended == len(self._threads)
                ),
                seconds,
            )
        assert came, f"no write failed in {seconds} s; {self.replies}"

    def _write(self, number: int) -> None:
        chance = random.Random(f"{self._seed}.{number}")
        client = PlainClient(self._port, self._key)
        writer = _Writer(self._ledger, client, chance, f"{self._seed}.{number}")
        try:
            with suppress(OSError, http.client.HTTPException):
                while not self._stopping.is_set():
                    reply = writer.act(self._padding, self._creates, self._threads_max)
                    if reply is not None:
                        self._count(reply)
        except Exception as error:
            self.broken.append(f"writer {number}: {error!r}")
        finally:
            client.close()
            with self._progress:
                self._ended += 1
                self._progress.notify_all()

    def _count(self, reply: Reply) -> None:
        with self._progress:
            self.replies[reply.status] += 1
            if reply.status == 200:
                self._acknowledged += 1
            else:
                self.failures.setdefault((reply.status, reply.error["code"] or ""), reply)
            self._progress.notify_all()
        if reply.status == 503:
            self._stopping.wait(_PAUSE_SECONDS)


class _Writer:
    """One client and what it has made.

    What an answer left open is never touched again, so that no state is guessed at.
    """

    def __init__(
        self,
        ledger: Ledger,
        client: PlainClient,
        chance: random.Random,
        name: str,
    ) -> None:
        self._ledger, self._client, self._chance = ledger, client, chance
        self._name = name
        self._made = 0
        self._conversations: list[Conversation] = []
        self._turns: list[tuple[Conversation, Entry]] = []

    def act(self, padding: int, creates: float, threads_max: float) -> Reply | None:
        """Send one request; return its answer."""
        die = self._chance.random()
        count = len(self._open())
        if die < creates or not count:
            if count >= threads_max and self._conversations:
                return self._delete_thread(self._conversations.pop())
            return self._create()
        die = self._chance.random()
        if die < 0.08 and self._turns:
            return self._change(*self._chance.choice(self._turns))
        if die < 0.16 and self._turns:
            return self._delete(*self._turns.pop(self._chance.randrange(len(self._turns))))
        if die < 0.18 and len(self._conversations) > 2:
            return self._delete_thread(self._conversations.pop())
        return self._append(self._chance.choice(self._open()), padding)

    def _open(self) -> list[Conversation]:
        """Every thread whose id is known and which nobody has begun to delete."""
        return [
            each
            for each in list(self._ledger.conversations.values())
            if each.id is not None and None not in each.states[each.sure :]
        ]

    def _text(self) -> str:
        self._made += 1
        return f"{self._name}.{self._made}"

    def _create(self) -> Reply:
        text = self._text()
        first = [f"{text}.{number}" for number in range(self._chance.choice((0, 1, 5, 40)))]
        entry = self._ledger.create(text, first)
        reply = self._client.ask(
            "POST",
            "/v1/threads",
            {
                "metadata": {"text": text},
                "messages": [{"role": "user", "content": each} for each in first],
            },
        )
        if self._note(entry, reply):
            self._conversations.append(entry)
        return reply

    def _append(self, conversation: Conversation, padding: int) -> Reply:
        text = f"{self._text()} {'x' * self._chance.randrange(padding)}"
        entry = self._ledger.append(conversation, text)
        reply = self._client.ask(
            "POST",
            f"/v1/threads/{conversation.id}/messages",
            {"role": "user", "content": text},
        )
        if self._note(entry, reply):
            self._turns.append((conversation, entry))
        return reply

    def _change(self, conversation: Conversation, entry: Entry) -> Reply:
        version = self._text()
        self._ledger.change(entry, version)
        reply = self._client.ask(
            "POST",
            f"/v1/threads/{conversation.id}/messages/{entry.id}",
            {"metadata": {"v": version}},
        )
        if not self._note(entry, reply) and reply.status != 503:
            self._turns.remove((conversation, entry))
        return reply

    def _delete(self, conversation: Conversation, entry: Entry) -> Reply:
        self._ledger.change(entry, None)
        reply = self._client.ask("DELETE", f"/v1/threads/{conversation.id}/messages/{entry.id}")
        self._note(entry, reply)
        return reply

    def _delete_thread(self, conversation: Conversation) -> Reply:
        self._ledger.change(conversation, None)
        reply = self._client.ask("DELETE", f"/v1/threads/{conversation.id}")
        self._note(conversation, reply)
        return reply

    def _note(self, entry: Entry, reply: Reply) -> bool:
        """Enter an answer in the ledger; return whether it was a success."""
        if reply.status == 200:
            self._ledger.acknowledge(entry, reply.body["id"])
            return True
        insist_on_shape(reply)
        if reply.status in (404, 503):
            self._ledger.refuse(entry)
        return False


def insist_on_shape(reply: Reply) -> None:
    """Insist that a failure tells a client truly whether to send the same again."""
    error = reply.error
    assert error["message"], reply
    if reply.status == 404:
        return
    assert reply.status in (500, 503), reply
    assert error["type"] == "server_error", reply
    if reply.status == 503:
        assert int(reply.headers["retry-after"]) >= 1, reply
        assert "x-should-retry" not in reply.headers, reply
    else:
        assert reply.headers.get("x-should-retry") == "false", reply
