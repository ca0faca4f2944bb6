"""What the two parsers could take differently is never taken for another request."""

from __future__ import annotations

from itertools import product

import pytest

from tests.ways.house import House
from tests.ways.memory_line import Answer
from tests.ways.requests import THREAD, TURN, head, request

SMUGGLED = "/v1/threads/thread-smuggled"

FRAMINGS = {
    "plus": "Content-Length: +{size}",
    "minus": "Content-Length: -{size}",
    "underscore": "Content-Length: 1_0",
    "hexadecimal": "Content-Length: 0x10",
    "other digits": "Content-Length: \u00b2",
    "fraction": "Content-Length: {size}.0",
    "list": "Content-Length: {size}, {size}",
    "two numbers": "Content-Length: {size} {size}",
    "empty": "Content-Length:",
    "quoted": 'Content-Length: "{size}"',
    "too long": "Content-Length: 18446744073709551616",
    "almost too long": "Content-Length: 18446744073709551615",
    "twice": "Content-Length: {size}\r\nContent-Length: {size}",
    "twice, differently": "Content-Length: {size}\r\nContent-Length: 0",
    "twice, the other way": "Content-Length: 0\r\nContent-Length: {size}",
    "folded": "Content-Length: 0\r\n {size}",
    "folded before": "Content-Length:\r\n {size}",
    "form feed": "Content-Length: \x0c{size}",
    "vertical tab": "Content-Length: {size}\x0b",
    "space before the colon": "Content-Length : {size}",
    "tab before the colon": "Content-Length\t: {size}",
    "space before the name": "X: y\r\n Content-Length: {size}",
    "nul in the name": "Content-Length\x00: {size}",
    "byte in the name": "Content-Length\xa0: {size}",
    "underscore in the name": "Content_Length: {size}",
    "after an empty value": "X:\r\nContent-Length: {size}",
    "after a bare line feed": "X: y\nContent-Length: {size}",
    "after a bare return": "X: y\rContent-Length: {size}",
    "after two returns": "X: y\r\r\nContent-Length: {size}",
    "after a nul": "X: y\x00\r\nContent-Length: {size}",
    "after no colon": "X\r\nContent-Length: {size}",
    "after no name": ": y\r\nContent-Length: {size}",
    "both": "Content-Length: {size}\r\nTransfer-Encoding: chunked",
    "both, turned": "Transfer-Encoding: chunked\r\nContent-Length: {size}",
    "both, identity": "Content-Length: {size}\r\nTransfer-Encoding: identity",
    "both, misspelt": "Content-Length: {size}\r\nTransfer_Encoding: chunked",
    "both, spaced": "Content-Length: {size}\r\nTransfer-Encoding : chunked",
    "both, folded": "Content-Length: {size}\r\nTransfer-Encoding:\r\n chunked",
    "both, hidden": "Content-Length: {size}\r\nX: y\nTransfer-Encoding: chunked",
    "chunked": "Transfer-Encoding: chunked",
    "chunked, tab": "Transfer-Encoding:\tchunked",
    "chunked in capitals": "TRANSFER-ENCODING: CHUNKED",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked and more": "Transfer-Encoding: chunked, identity",
    "chunked last": "Transfer-Encoding: gzip, chunked",
    "chunked, quoted": 'Transfer-Encoding: "chunked"',
    "chunkedx": "Transfer-Encoding: xchunked",
    "no framing": "X: y",
}

# What comes before the smuggled request.
BODIES = (b"", b"%x\r\n" % len(TURN) + TURN + b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n\r\n")


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_both_ways_find_the_same_requests(home: House, framing: str) -> None:
    inside = request("DELETE", SMUGGLED, home.key)
    last = request("GET", "/v1/threads/thread-last", home.key)
    for method, content in product(("POST", "GET"), BODIES):
        body = content + inside
        fields = FRAMINGS[framing].format(size=len(body))
        known = f"Authorization: Bearer {home.key}"
        opened = head(method, THREAD, "Host: x", known, fields)
        for pieces in ((opened + body, last), (opened, body, last), (opened + body + last,)):
            expected, asked = await all_of(home, *pieces, by_framework=True)
            assert await all_of(home, *pieces, by_framework=False) == (expected, asked), pieces
            refused = [b"no valid HTTP" in answer.body for answer in expected[0]]
            assert True not in refused[:-1], "nothing is answered after what is no HTTP"
            assert expected[1] or True not in refused


async def all_of(
    home: House, *pieces: bytes, by_framework: bool
) -> tuple[tuple[list[Answer], bool], list[str]]:
    """Return what a client meets, and what the actors were asked meanwhile."""
    home.actor.asked.clear()
    met = await home.meet(*pieces, by_framework=by_framework)
    return met, home.actor.asked.copy()


@pytest.mark.parametrize("body", [b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n\r\n", b"\x00" * 40])
@pytest.mark.parametrize("length", [0, 1, 20, 39, 40, 41])
async def test_a_length_that_is_not_the_bodys_means_the_same_on_both_ways(
    home: House, body: bytes, length: int
) -> None:
    body = body.ljust(40)
    opened = request("POST", THREAD, home.key).replace(b"Length: 0", b"Length: %d" % length)
    for pieces in (
        (opened + body, b"\r\n\r\n"),
        (opened, body + b"\r\n\r\n"),
        (opened + body[:1], body[1:], b"\r\n\r\n"),
    ):
        met = await home.meet(*pieces, by_framework=False)
        # What is held back is given to the framework in one piece with what goes beyond it.
        assert met in [
            await home.meet(*pieces, by_framework=True),
            await home.meet(pieces[0] + pieces[1], *pieces[2:], by_framework=True),
        ]


# Behind each of these a byte is put that does not belong there.
MARKS = (b"/thread", b" HTTP", b"HTTP/1.1\r", b"\r\nX-", b"-Custom", b": value", b"\r\nContent")


@pytest.mark.parametrize("mark", MARKS)
async def test_any_byte_in_a_head_means_the_same_on_both_ways(home: House, mark: bytes) -> None:
    plain = request("POST", THREAD, home.key, TURN, "X-Custom: value")
    place = plain.index(mark) + len(mark)
    for byte in range(256):
        odd = plain[:place] + bytes([byte]) + plain[place:]
        expected = await home.meet(odd, by_framework=True)
        assert await home.meet(odd, by_framework=False) == expected, odd
