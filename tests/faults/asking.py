"""Single requests, each noted in a ledger, for tests that know what every answer must be."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.faulty_server import FaultyServer
from tests.faults.ledger import Conversation, Entry, Ledger
from tests.faults.plain_http import Reply
from tests.faults.writers import insist_on_shape


def create(server: FaultyServer, ledger: Ledger, text: str, first: Sequence[str] = ()) -> Reply:
    """Ask for a thread with initial messages."""
    texts = [f"{text}: {each}" for each in first]
    entry = ledger.create(text, texts)
    messages = [{"role": "user", "content": each} for each in texts]
    body = {"metadata": {"text": text}, "messages": messages}
    reply = server.ask("POST", "/v1/threads", body)
    return _noted(ledger, entry, reply)


def start_a_thread(server: FaultyServer, ledger: Ledger, text: str = "before") -> Conversation:
    """Create a thread that has one message."""
    reply = create(server, ledger, text, ["first"])
    assert reply.status == 200, reply
    return ledger.conversations[text]


def append(server: FaultyServer, ledger: Ledger, to: Conversation, text: str) -> Reply:
    """Ask for one more message."""
    turn = ledger.append(to, text)
    body = {"role": "user", "content": text}
    return _noted(ledger, turn, server.ask("POST", f"/v1/threads/{to.id}/messages", body))


def texts(server: FaultyServer, of: Conversation) -> list[str]:
    """Return the texts of a thread's messages, oldest first."""
    reply = server.ask("GET", f"/v1/threads/{of.id}/messages?order=asc&limit=100")
    assert reply.status == 200, reply
    return [each["content"][0]["text"]["value"] for each in reply.body["data"]]


def insist_that_nothing_is_lost(server: FaultyServer, ledger: Ledger) -> None:
    """Judge what the server shows now, and what it shows after it was killed."""
    ledger.judge(server.found())
    server.kill()
    server.restart()
    found = server.found()
    ledger.judge(found)
    ledger.settle(found)
    checked = server.check()
    assert checked.returncode == 0, checked


def _noted(ledger: Ledger, entry: Entry, reply: Reply) -> Reply:
    if reply.status == 200:
        ledger.acknowledge(entry, reply.body["id"])
    else:
        insist_on_shape(reply)
        if reply.status == 503:
            ledger.refuse(entry)
    return reply
