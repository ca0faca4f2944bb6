"""What the server promises, said as plain Python, and the steps that compare it with the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

PAIRS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "ä"]), max_size=3)
CHANGES = st.none() | st.dictionaries(
    st.sampled_from("abc"), st.none() | st.sampled_from(["", "1", "2"]), max_size=3
)
TEXTS = st.text(min_size=1, max_size=12)
ORDERS = st.sampled_from(["asc", "desc"])
LIMITS = st.integers(1, 7)
PICK = st.integers(0, 1_000_000)
MESSAGES_MAX = 40


@dataclass
class Message:
    id: str
    text: str
    metadata: dict[str, str]


@dataclass
class Thread:
    """A thread as it should be; `born` lists every message that ever was, oldest first."""

    id: str
    title: str | None
    metadata: dict[str, str]
    messages: list[Message] = field(default_factory=list)
    born: list[str] = field(default_factory=list)


def merged(current: dict[str, str], change: dict[str, str | None] | None) -> dict[str, str]:
    if change is None:
        return {}
    both = {**current, **change}
    return {name: text for name, text in both.items() if text is not None}


def page(
    live: list[str], born: list[str], order: str, limit: int, cursor: tuple[str, str] | None
) -> tuple[list[str], bool]:
    """Choose what a list must return, from every id that ever was, in the order of their birth."""
    line = born if order == "asc" else born[::-1]
    if cursor is None:
        rest = line
    elif cursor[0] == "after":
        rest = line[line.index(cursor[1]) + 1 :]
    else:
        rest = line[: line.index(cursor[1])][::-1]
    rest = [each for each in rest if each in live]
    chosen = rest[:limit]
    backwards = cursor is not None and cursor[0] == "before"
    return (chosen[::-1] if backwards else chosen), len(rest) > limit


class ThreadsMachine(RuleBasedStateMachine):
    """Steps of one client; how the server is reached is for those to say who inherit."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[Thread] = []
        self.born: list[str] = []
        self.deleted: list[Thread] = []

    def call(self, method: str, path: str, payload: object = None) -> tuple[int, Any]:
        raise NotImplementedError

    def call_all(self, calls: list[tuple[str, str, object]]) -> list[tuple[int, Any]]:
        """Send several requests; together, where that is possible."""
        return [self.call(*each) for each in calls]

    def restart(self) -> None:
        raise NotImplementedError

    def crash(self) -> None:
        raise NotImplementedError

    def ok(self, method: str, path: str, payload: object = None) -> Any:
        status, answer = self.call(method, path, payload)
        assert status == 200, (method, path, answer)
        return answer

    def thread(self, pick: int) -> Thread:
        return self.threads[pick % len(self.threads)]

    @property
    def has_message(self) -> bool:
        return any(thread.messages for thread in self.threads)

    def message(self, pick: int) -> tuple[Thread, Message]:
        every = [(thread, each) for thread in self.threads for each in thread.messages]
        return every[pick % len(every)]

    @rule(texts=st.lists(TEXTS, max_size=4), metadata=PAIRS, title=st.none() | st.just("title"))
    def create(self, texts: list[str], metadata: dict[str, str], title: str | None) -> None:
        turns = [{"role": "user", "content": text, "metadata": metadata} for text in texts]
        body = {"messages": turns, "metadata": metadata, "title": title}
        made = self.ok("POST", "/v1/threads", body)
        assert (made["metadata"], made["title"]) == (metadata, title)
        thread = Thread(made["id"], title, metadata)
        self.threads.append(thread)
        self.born.append(thread.id)
        # The ids of the first messages are learnt by listing them.
        listed = self.ok("GET", f"/v1/threads/{thread.id}/messages?order=asc&limit=100")
        for data, text in zip(listed["data"], texts, strict=True):
            self.take(thread, data, text, metadata)

    def take(self, thread: Thread, data: Any, text: str, metadata: dict[str, str]) -> None:
        assert data["content"][0]["text"]["value"] == text
        thread.messages.append(Message(data["id"], text, metadata))
        thread.born.append(data["id"])

    @precondition(lambda self: self.threads)
    @rule(pick=PICK, texts=st.lists(TEXTS, min_size=1, max_size=5))
    def append(self, pick: int, texts: list[str]) -> None:
        thread = self.thread(pick)
        path = f"/v1/threads/{thread.id}/messages"
        calls: list[tuple[str, str, object]] = [
            ("POST", path, {"role": "assistant", "content": text}) for text in texts
        ]
        for text, (status, data) in zip(texts, self.call_all(calls), strict=True):
            assert status == 200
            self.take(thread, data, text, {})

    @precondition(lambda self: self.threads)
    @rule(pick=PICK, change=CHANGES, title=st.none() | st.just("other"))
    def modify_thread(
        self, pick: int, change: dict[str, str | None] | None, title: str | None
    ) -> None:
        thread = self.thread(pick)
        path = f"/v1/threads/{thread.id}"
        changed = self.ok("POST", path, {"metadata": change, "title": title})
        thread.metadata, thread.title = merged(thread.metadata, change), title
        assert (changed["metadata"], changed["title"]) == (thread.metadata, thread.title)

    @precondition(lambda self: self.has_message)
    @rule(pick=PICK, change=CHANGES)
    def modify_message(self, pick: int, change: dict[str, str | None] | None) -> None:
        thread, message = self.message(pick)
        path = f"/v1/threads/{thread.id}/messages/{message.id}"
        changed = self.ok("POST", path, {"metadata": change})
        message.metadata = merged(message.metadata, change)
        assert changed["metadata"] == message.metadata
        assert self.ok("GET", path) == changed

    @precondition(lambda self: self.has_message)
    @rule(pick=PICK)
    def delete_message(self, pick: int) -> None:
        thread, message = self.message(pick)
        path = f"/v1/threads/{thread.id}/messages/{message.id}"
        assert self.ok("DELETE", path)["deleted"] is True
        thread.messages.remove(message)
        assert [self.call(method, path)[0] for method in ("GET", "DELETE")] == [404, 404]

    @precondition(lambda self: self.threads)
    @rule(pick=PICK)
    def delete_thread(self, pick: int) -> None:
        thread = self.thread(pick)
        assert self.ok("DELETE", f"/v1/threads/{thread.id}")["deleted"] is True
        self.threads.remove(thread)
        self.deleted.append(thread)
        self.is_gone(thread)

    def is_gone(self, thread: Thread) -> None:
        path = f"/v1/threads/{thread.id}"
        turn = {"role": "user", "content": "late"}
        calls = [("GET", path, None), ("GET", f"{path}/messages", None)]
        calls += [("DELETE", path, None), ("POST", f"{path}/messages", turn)]  # type: ignore[list-item]
        for method, where, payload in calls:
            status, answer = self.call(method, where, payload)
            assert status == 404
            assert answer["error"]["message"] == f"No thread found with id '{thread.id}'."

    @precondition(lambda self: self.threads)
    @rule(pick=PICK, order=ORDERS, limit=LIMITS, cursor=st.none() | st.tuples(st.booleans(), PICK))
    def list_messages(
        self, pick: int, order: str, limit: int, cursor: tuple[bool, int] | None
    ) -> None:
        thread = self.thread(pick)
        live = [message.id for message in thread.messages]
        self.compare(f"/v1/threads/{thread.id}/messages", live, thread.born, order, limit, cursor)

    @rule(order=ORDERS, limit=LIMITS, cursor=st.none() | st.tuples(st.booleans(), PICK))
    def list_threads(self, order: str, limit: int, cursor: tuple[bool, int] | None) -> None:
        live = [thread.id for thread in self.threads]
        self.compare("/v1/threads", live, self.born, order, limit, cursor)

    def compare(
        self,
        path: str,
        live: list[str],
        born: list[str],
        order: str,
        limit: int,
        cursor: tuple[bool, int] | None,
    ) -> None:
        at = None
        query = f"{path}?order={order}&limit={limit}"
        if cursor is not None and born:
            at = ("after" if cursor[0] else "before", born[cursor[1] % len(born)])
            query += f"&{at[0]}={at[1]}"
        answer = self.ok("GET", query)
        expected, more = page(live, born, order, limit, at)
        assert [each["id"] for each in answer["data"]] == expected
        assert answer["has_more"] is more
        ends = (expected[0], expected[-1]) if expected else (None, None)
        assert (answer["first_id"], answer["last_id"]) == ends

    @rule()
    def stop_and_start(self) -> None:
        self.restart()
        self.is_as_it_should_be()

    @rule()
    def die_and_start(self) -> None:
        self.crash()
        self.is_as_it_should_be()

    def is_as_it_should_be(self) -> None:
        """Compare everything there is, to the last byte that the model knows."""
        listed = self.ok("GET", "/v1/threads?order=asc&limit=100")["data"]
        assert [each["id"] for each in listed] == [thread.id for thread in self.threads[:100]]
        for thread in self.threads:
            path = f"/v1/threads/{thread.id}"
            found = self.ok("GET", path)
            assert (found["metadata"], found["title"]) == (thread.metadata, thread.title)
            data = self.ok("GET", f"{path}/messages?order=asc&limit=100")["data"]
            times = [each["created_at"] for each in data]
            assert times == sorted(times)
            assert [
                Message(each["id"], each["content"][0]["text"]["value"], each["metadata"])
                for each in data
            ] == thread.messages[:100]
        for thread in self.deleted[-3:]:
            self.is_gone(thread)

    def teardown(self) -> None:
        self.is_as_it_should_be()
