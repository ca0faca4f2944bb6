"""Requests as bytes, by name: ordinary ones, refused ones, and odd ones."""

from __future__ import annotations

THREAD = "/v1/threads/thread-x"
TURN = b'{"role":"user","content":"x"}'


def head(method: str, target: str, *fields: str, version: str = "1.1") -> bytes:
    """Build a head; its host is among the fields if it is to have one."""
    return "\r\n".join((f"{method} {target} HTTP/{version}", *fields, "", "")).encode("latin-1")


def request(
    method: str, target: str, key: str, body: bytes = b"", *fields: str, version: str = "1.1"
) -> bytes:
    """Build an ordinary request."""
    sized = [f"Content-Length: {len(body)}"] if body or method in ("POST", "PATCH") else []
    known = [f"Authorization: Bearer {key}"] if key else []
    return head(method, target, "Host: x", *known, *fields, *sized, version=version) + body


def ordinary(key: str) -> dict[str, bytes]:
    """Every request that the fast path answers, well or not, to its end."""
    message = f"{THREAD}/messages/msg-x"
    return {
        "create": request("POST", "/v1/threads", key, b'{"title":"a"}'),
        "create without a body": request("POST", "/v1/threads", key),
        "list": request("GET", "/v1/threads?limit=2&order=asc", key),
        "read": request("GET", THREAD, key),
        "modify": request("POST", THREAD, key, b'{"title":"a"}'),
        "patch": request("PATCH", THREAD, key, b'{"title":"a"}'),
        "delete": request("DELETE", THREAD, key),
        "delete with a body": request("DELETE", THREAD, key, b"whatever"),
        "append": request("POST", f"{THREAD}/messages", key, TURN),
        "list messages": request("GET", f"{THREAD}/messages", key),
        "read with a body": request("GET", message, key, b"GET / HTTP/1.1\r\n\r\n"),
        "read a message": request("GET", message, key),
        "modify a message": request("POST", message, key, b'{"metadata":{"a":"b"}}'),
        "delete a message": request("DELETE", message, key),
        "percent": request("GET", "/v1/threads/thread%2Dx%2F/messages/%6dsg-x%00%ff", key),
        "fragment": request("GET", f"{THREAD}#a?b", key),
        "quoted": request("GET", f'{THREAD}"<>{{}}|', key),
        "odd query": request("GET", "/v1/threads?limit=%zz&order=&&x=?", key),
        "bad limit": request("GET", "/v1/threads?limit=0", key),
        "bad json": request("POST", f"{THREAD}/messages", key, b"{"),
        "no json": request("POST", f"{THREAD}/messages", key, b"\xff\x00"),
        "empty body": request("POST", f"{THREAD}/messages", key),
        "unknown field": request("POST", "/v1/threads", key, b'{"foo":1}'),
        "unknown key": request("POST", "/v1/threads", "sk-nobody-knows-this-one", b"{}"),
        "no key": request("GET", THREAD, ""),
        "other scheme": request("GET", THREAD, "", b"", f"Authorization: Basic {key}"),
        "key in latin-1": request("GET", THREAD, "", b"", "Authorization: Bearer k\xe9y"),
        "spaces around the key": request(
            "GET", THREAD, "", b"", f"Authorization:\t Bearer  {key} \t"
        ),
        "foreign": request("GET", THREAD, key, b"", "OpenAI-Organization: other"),
        "foreign project": request("GET", THREAD, key, b"", "OpenAI-Project: other"),
        "own": request("GET", THREAD, key, b"", "OpenAI-Organization: acme", "openai-project: web"),
        "own with spaces": request("GET", THREAD, key, b"", "OpenAI-Organization:  acme \t"),
        "empty value": request("GET", THREAD, key, b"", "OpenAI-Organization:", "X:"),
        "not there": request("GET", "/v1/threadsandmore", key),
        "runs": request("GET", f"{THREAD}/runs", key),
        "too deep": request("POST", f"{THREAD}/messages/msg-x/y", key, b"{}"),
        "no id": request("GET", "/v1/threads/", key),
        "wrong method": request("PATCH", "/v1/threads", key, b"{}"),
        "wrong method without a body": request("DELETE", f"{THREAD}/messages", key),
        "close": request("GET", THREAD, key, b"", "Connection: close"),
        "close with a body": request("POST", "/v1/threads", key, b"{}", "connection: Close"),
        "close and keep": request("GET", THREAD, key, b"", "Connection: keep-alive, close"),
        "keep": request("GET", THREAD, key, b"", "Connection: keep-alive"),
        "zeros": request("POST", "/v1/threads", key)[:-4] + b"002\r\n\r\n{}",
        "spaces around the length": request("GET", THREAD, key, b"", "Content-Length: \t0 \t"),
        "blank line before": b"\r\n" + request("GET", THREAD, key),
        "two spaces": request("GET", f"  {THREAD} ", key),
    }


def unusual(key: str) -> dict[str, bytes]:
    """Requests that the framework answers."""
    return {
        "head": request("HEAD", THREAD, key),
        "options": request("OPTIONS", THREAD, key),
        "put": request("PUT", THREAD, key, b"{}"),
        "http/1.0": request("GET", THREAD, key, version="1.0"),
        "http/1.0 that stays": request(
            "GET", THREAD, key, b"", "Connection: keep-alive", version="1.0"
        ),
        "http/0.9": f"GET {THREAD}\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode(),
        "no host": head("GET", THREAD, f"Authorization: Bearer {key}"),
        "absolute": request("GET", f"http://x{THREAD}", key),
        "elsewhere": request("GET", "/v1/models", key),
        "alive": request("GET", "/healthz", ""),
        "chunked": request("POST", "/v1/threads", key, b"", "Transfer-Encoding: chunked").replace(
            b"Content-Length: 0\r\n", b""
        )
        + b"2\r\n{}\r\n0\r\n\r\n",
        "twice": request("GET", THREAD, key, b"", "X: 1", "x: 2"),
        "large": request("POST", "/v1/threads", key, b"{}".ljust(70_000)),
        "too large": request("POST", "/v1/threads", key, b"{}".ljust(9_000_000)),
        "unpacked": request("POST", "/v1/threads", key, b"{}", "Content-Encoding: gzip"),
        "identity": request("POST", "/v1/threads", key, b"{}", "Content-Encoding: identity"),
        "upgrade": request("GET", THREAD, key, b"", "Connection: Upgrade", "Upgrade: h2c"),
        "many fields": request("GET", THREAD, key, b"", *(f"X-{n}: v" for n in range(105))),
        "too many fields": request("GET", THREAD, key, b"", *(f"X-{n}: v" for n in range(300))),
        "long field": request("GET", THREAD, key, b"", "X: " + "x" * 20_000),
        "target beyond ascii": request("GET", f"{THREAD}\xe9", key),
    }
