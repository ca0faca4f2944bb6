"""Requests sent once each, in turn: what wrk cannot do, which knows a time and no number."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice

from bench.servers import Server
from bench.wrk import BadAnswers, Request

_CONNECTIONS = 64


def send(server: Server, requests: Iterable[Request]) -> Iterator[int]:
    """Send requests over some connections, a round of one each at a time.

    Yields:
        How many were answered so far, after each round.

    Raises:
        BadAnswers: One of the answers was not a 200.
    """
    count = 0
    with ExitStack() as open_sockets:
        connections = [
            open_sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
            for _ in range(_CONNECTIONS)
        ]
        remaining = iter(requests)
        while batch := list(islice(remaining, _CONNECTIONS)):
            _ask(server, connections, batch)
            count += len(batch)
            yield count


def send_all(server: Server, requests: Iterable[Request]) -> None:
    """Send requests once each."""
    for _ in send(server, requests):
        pass


def _ask(server: Server, connections: Sequence[socket.socket], batch: Sequence[Request]) -> None:
    for connection, request in zip(connections, batch, strict=False):
        body = request.body.encode()
        head = (
            f"{request.method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
    for connection, request in zip(connections, batch, strict=False):
        head_bytes = _answer(connection)
        if not head_bytes.startswith(b"HTTP/1.1 200 "):
            line = head_bytes.partition(b"\r\n")[0].decode("latin-1")
            raise BadAnswers(f"{request.method} {request.path}: {line}\n{server.log_tail()}")


def _answer(connection: socket.socket) -> bytes:
    """Read one answer to its end and return its head."""
    received = b""
    while True:
        received += connection.recv(1 << 16)
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            break
        if not received:
            raise BadAnswers("the connection was closed without an answer")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line[:15].lower() == b"content-length:"
    ]
    missing = lengths[0] - len(body)
    while missing > 0:
        chunk = connection.recv(min(missing, 1 << 20))
        if not chunk:
            raise BadAnswers("the connection was closed within an answer")
        missing -= len(chunk)
    return head
