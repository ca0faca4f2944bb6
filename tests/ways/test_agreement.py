"""Requests that nobody thought of: the framework alone says what they mean."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ways.conftest import InHome
from tests.ways.house import House
from tests.ways.memory_line import Answer
from tests.ways.requests import THREAD, TURN, request

METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "HEAD", "PUT", "OPTIONS", "get", "M"])
TARGETS = st.sampled_from(
    [
        "/v1/threads",
        "/v1/threads?limit=1&order=asc",
        THREAD,
        f"{THREAD}/messages",
        f"{THREAD}/messages/msg-x",
        f"{THREAD}/messages?after=%00",
        f"http://x{THREAD}",
        f"{THREAD}#/messages",
        "//v1/threads",
        "/healthz",
        "*",
        "/",
        "",
    ]
)
FIELDS = st.sampled_from(
    [
        "Host: x",
        "Host: [::1]:80",
        "X:",
        "X: y",
        "x:y",
        "X: \t y \t",
        "X: \xe9",
        "Accept: */*, application/json;q=0.5",
        "OpenAI-Organization: acme",
        "OpenAI-Organization: ACME",
        "OpenAI-Project: web ",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: 29",
        "Content-Length: 030",
        "Content-Length: 70000",
        "Transfer-Encoding: chunked",
        "Content-Encoding: identity",
        "Expect: 100-continue",
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade",
        "Proxy-Connection: close",
        "Upgrade: websocket",
        "Content-Type: text/plain",
        "Origin: https://example.com",
    ]
)
VERSIONS = st.sampled_from(["1.1"] * 6 + ["1.0", "0.9", "2.0", "1.2"])
BODIES = st.sampled_from([b"", TURN, b"{}", b"{}\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"GET / HTTP"])
# Where, how many bytes go, and what comes instead.
FAULTS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 2),
        st.sampled_from([b"", b" ", b"\t", b"\r", b"\n", b"\r\n", b":", b"\0", b"\x7f", b"\xff"]),
    ),
    max_size=2,
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request that is mostly well formed; {key} stands where its key belongs."""
    fields = ["Host: x", "Authorization: Bearer {key}"] if draw(st.integers(0, 4)) else []
    fields += draw(st.lists(FIELDS, max_size=4))
    body = draw(BODIES)
    if draw(st.booleans()):
        fields.append(f"Content-Length: {len(body)}")
    line = f"{draw(METHODS)} {draw(TARGETS)} HTTP/{draw(VERSIONS)}"
    return "\r\n".join((line, *fields, "", "")).encode("latin-1") + body


@settings(
    max_examples=400,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=requests(), faults=FAULTS, place=st.none() | st.integers(1, 400))
def test_what_a_request_means_is_what_the_framework_alone_says(
    in_home: InHome, data: bytes, faults: list[tuple[int, int, bytes]], place: int | None
) -> None:
    async def meet(home: House) -> None:
        sent = data.replace(b"{key}", home.key.encode())
        for at, gone, instead in faults:
            sent = sent[:at] + instead + sent[at + gone :]
        last = request("GET", "/v1/threads/thread-last", home.key)
        first, second = sent[:place], sent[place:] if place else b""
        pieces = [piece for piece in (first, second, last) if piece]
        met = await meaning(home, pieces, by_framework=False)
        assert await meaning(home, pieces, by_framework=False) == met, "its fields are known now"
        # A request whose body comes later is one piece with that when the framework gets it.
        expected = [
            await meaning(home, [piece for piece in joined if piece], by_framework=True)
            for joined in (
                (first, second, last),
                (first + second, last),
                (first, second + last),
                (first + second + last,),
            )
        ]
        assert met in expected, pieces

    in_home(meet)


async def meaning(
    home: House, pieces: list[bytes], *, by_framework: bool
) -> tuple[list[Answer], bool, list[str]]:
    """Return the answers, whether the connection was closed, and what the actors were asked."""
    home.actor.asked.clear()
    answers, closed = await home.meet(*pieces, by_framework=by_framework)
    return answers, closed, home.actor.asked.copy()
