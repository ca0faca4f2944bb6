"""What was asked of a server and what it answered: the judge of what must be there afterwards.

Every object carries a text of its own, and a list of the states that it may have gone through:
absent, then a version, another version, absent again. `sure` is the last one that was acknowledged.
Whatever is found later must be that state or one behind it, for a request without an answer may
have been done. A request that was refused must not have been done, so its state is taken back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ragen_actor.schema import message_sequence
from tests.faults.plain_http import PlainClient

State = str | None
"""The value of an object's metadata under "v"; None where there is no such object."""
NEVER = 1 << 62


@dataclass(eq=False)
class Entry:
    """One object that a client asked for.

    Attributes:
        text: Its own among all, by which it is known when no answer told its id.
        id: As the server answered; None before it did.
        states: All that it may have gone through, in order.
        sure: Position in `states` of the last that was acknowledged.
        sent: When its create was sent, in ticks of the ledger.
        told: When its create was acknowledged.
    """

    text: str
    id: str | None = None
    states: list[State] = field(default_factory=lambda: [None])
    sure: int = 0
    sent: int = 0
    told: int = NEVER

    def may_be(self, state: State, sure: int) -> bool:
        """Tell whether it may be found so, given what was acknowledged."""
        return state in self.states[sure:]

    def settle(self, state: State) -> None:
        """It was found so, and must be so from now on."""
        self.states, self.sure = [state], 0


@dataclass(eq=False)
class Conversation(Entry):
    """A thread, with the messages that were sent to it."""

    first: list[Entry] = field(default_factory=list)
    turns: dict[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A thread as a server shows it."""

    thread: dict[str, Any]
    messages: list[dict[str, Any]]


Frozen = Mapping[Entry, int]
"""What was acknowledged of each object at some moment."""


class Ledger:
    """All conversations of one organisation; its methods may be called by any thread."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self._lock = threading.Lock()
        self._tick = 0

    def create(self, text: str, first: Iterable[str] = ()) -> Conversation:
        """A thread is about to be asked for, with these initial messages."""
        with self._lock:
            self._tick += 1
            entry = Conversation(text, sent=self._tick, states=[None, ""])
            for each in first:
                turn = Entry(each, sent=self._tick, states=[None, ""])
                entry.first.append(turn)
                entry.turns[each] = turn
            self.conversations[text] = entry
            return entry

    def append(self, conversation: Conversation, text: str) -> Entry:
        """A message is about to be sent."""
        with self._lock:
            self._tick += 1
            turn = conversation.turns[text] = Entry(text, sent=self._tick, states=[None, ""])
            return turn

    def change(self, entry: Entry, state: State) -> None:
        """A new version, or the deletion, is about to be asked for."""
        with self._lock:
            entry.states.append(state)

    def acknowledge(self, entry: Entry, object_id: str) -> None:
        """The last state of an object was acknowledged."""
        with self._lock:
            self._tick += 1
            if entry.id is None:
                entry.id, entry.told = object_id, self._tick
            assert entry.id == object_id
            entry.sure = len(entry.states) - 1
            if isinstance(entry, Conversation):
                for turn in entry.first:
                    turn.sure = max(turn.sure, 1)
                    turn.told = min(turn.told, self._tick)

    def refuse(self, entry: Entry) -> None:
        """The server said that it did not do what was asked for last."""
        with self._lock:
            entry.states.pop()
            if isinstance(entry, Conversation) and entry.states == [None]:
                entry.first.clear()
                entry.turns.clear()

    def freeze(self) -> Frozen:
        """Return what is acknowledged by now."""
        with self._lock:
            return {entry: entry.sure for entry in self._entries()}

    def _entries(self) -> Iterable[Entry]:
        for conversation in self.conversations.values():
            yield conversation
            yield from conversation.turns.values()

    @property
    def acknowledged(self) -> int:
        """How many objects were acknowledged and are to be there."""
        with self._lock:
            return sum(each.states[each.sure] is not None for each in self._entries())

    def judge(self, found: Iterable[Found], frozen: Frozen | None = None) -> None:
        """Insist that what is found is what was acknowledged, or a state behind it.

        Args:
            found: All threads of the organisation.
            frozen: Judge by what was acknowledged then, and not by what is by now.
        """
        with self._lock:
            sure = {each: each.sure for each in self._entries()} if frozen is None else frozen
            by_text: dict[str, Found] = {}
            for each in found:
                text = each.thread["metadata"]["text"]
                assert text in self.conversations, f"a thread nobody asked for: {each.thread}"
                assert text not in by_text, f"{text} is there twice"
                by_text[text] = each
            for text, conversation in self.conversations.items():
                _judge_conversation(conversation, by_text.get(text), sure)

    def settle(self, found: Iterable[Found]) -> None:
        """What was found, and found right, must stay so."""
        with self._lock:
            self._tick += 1
            by_text = {each.thread["metadata"]["text"]: each for each in found}
            for text, conversation in self.conversations.items():
                here = by_text.get(text)
                conversation.settle(None if here is None else _state(here.thread))
                if here is None:
                    conversation.turns.clear()
                    continue
                conversation.id = here.thread["id"]
                messages = {_text(each): each for each in here.messages}
                for turn in conversation.turns.values():
                    message = messages.get(turn.text)
                    turn.settle(None if message is None else _state(message))
                    if message is not None:
                        turn.id, turn.told = message["id"], min(turn.told, self._tick)


def read_back(client: PlainClient) -> list[Found]:
    """Ask a server for everything that an organisation has."""
    return [
        Found(thread, list(client.every(f"/v1/threads/{thread['id']}/messages")))
        for thread in list(client.every("/v1/threads"))
    ]


def _judge_conversation(conversation: Conversation, found: Found | None, sure: Frozen) -> None:
    state = None if found is None else _state(found.thread)
    name = f"thread {conversation.id} ({conversation.text})"
    assert conversation.may_be(state, sure.get(conversation, 0)), f"{name} is {state!r}: lost"
    if found is None:
        return
    assert conversation.id in (None, found.thread["id"]), f"{name} has another id"
    messages: dict[str, dict[str, Any]] = {}
    for message in found.messages:
        text = _text(message)
        assert text in conversation.turns, f"{name} has what nobody sent: {message}"
        assert text not in messages, f"{name} has {text[:20]!r} twice"
        messages[text] = message
    for turn in conversation.first:
        assert turn.text in messages or turn.may_be(None, max(1, sure.get(turn, 0))), (
            f"{name} is there without its initial message {turn.text[:20]!r}"
        )
    for turn in conversation.turns.values():
        here = messages.get(turn.text)
        state = None if here is None else _state(here)
        assert turn.may_be(state, sure.get(turn, 0)), (
            f"{name}: message {turn.id} ({turn.text[:20]!r}) is {state!r}, "
            f"and was {turn.states[sure.get(turn, 0) :]!r}"
        )
        assert here is None or turn.id in (None, here["id"]), f"{name}: {turn.id} has another id"
    _judge_order(name, conversation, found)


def _judge_order(name: str, conversation: Conversation, found: Found) -> None:
    """One total order without a gap, in which what was acknowledged first stands first."""
    order = [_sequence(message["id"]) for message in found.messages]
    assert order == sorted(set(order)), f"{name} is not in order: {order}"
    gone = {
        _sequence(turn.id)
        for turn in conversation.turns.values()
        if turn.id is not None and None in turn.states[turn.sure :]
    }
    gaps = set(range(1, order[-1] + 1 if order else 1)) - set(order) - gone
    assert not gaps, f"{name} has gaps: {sorted(gaps)}"
    told_behind = NEVER
    for message in reversed(found.messages):
        turn = conversation.turns[_text(message)]
        assert turn.sent < told_behind, f"{name}: {turn.text[:20]!r} stands before an older one"
        told_behind = min(told_behind, turn.told)


def _state(found: dict[str, Any]) -> str:
    state: str = found["metadata"].get("v", "")
    return state


def _text(message: dict[str, Any]) -> str:
    text: str = message["content"][0]["text"]["value"]
    return text


def _sequence(message_id: str) -> int:
    sequence = message_sequence(message_id)
    assert sequence is not None, message_id
    return sequence
