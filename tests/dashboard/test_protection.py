from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dashboard.conftest import SLOW
from tests.dashboard.visitor import Visitor
from tests.server_process import ServerProcess
from tests.wire.http_call import Api, assert_error_shape

PATHS = ["", "/threads", "/sign-in", "/assets/dashboard.css", "/nothing", "/threads/thread-1"]
HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_what_a_page_need_not_do(visitor: Visitor, path: str) -> None:
    headers = visitor.ask("GET", path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "frame-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "ragen dompurify",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if "assets" in path else "no-store")
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])


def test_no_page_holds_a_script_a_style_or_a_handler_of_its_own(visitor: Visitor, api: Api) -> None:
    thread = api.new_thread(title="x", messages=[{"role": "user", "content": "hello"}])
    for path in ("", f"/threads/{thread['id']}", "/sign-in", "/nothing"):
        page = visitor.ask("GET", path, headers=HTML).body.decode()
        assert not re.search(r"<script(?![^>]* src=)", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page), path


def test_no_asset_comes_from_elsewhere(visitor: Visitor) -> None:
    page = visitor.ask("GET", "").body.decode()
    assert re.findall(r'(?:src|href)="(?!/dashboard)([^"#][^"]*)"', page) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/threads"),
        ("PATCH", "/threads/{thread}"),
        ("DELETE", "/threads/{thread}"),
        ("POST", "/threads/{thread}/turns"),
        ("DELETE", "/threads/{thread}/turns/{turn}"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "\u00e4"},
        {"X-CSRF-Token": "own", "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": "own", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_change_is_taken_from_another_page(
    visitor: Visitor, api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    thread = api.new_thread(messages=[{"role": "user", "content": "hello"}])
    [turn] = api.page(f"/v1/threads/{thread['id']}/messages")["data"]
    sent = {name: text.replace("own", visitor.csrf) for name, text in headers.items()}
    answer = visitor.ask(
        method,
        path.format(thread=thread["id"], turn=turn["id"]),
        body=b'{"role":"user","content":"x"}' if method != "DELETE" else None,
        headers=sent,
    )
    assert answer.status == 403
    assert_error_shape(answer)
    assert api.page(f"/v1/threads/{thread['id']}/messages")["data"] == [turn]
    assert api.page(f"/v1/threads/{thread['id']}") == thread
    assert len(api.page("/v1/threads")["data"]) == 1


def test_a_strangers_change_is_refused_before_its_body_is_read(stranger: Visitor) -> None:
    answer = stranger.ask("POST", "/threads", headers={"Content-Length": "8000000"})
    assert answer.status == 401


@pytest.mark.parametrize(
    "path",
    ["/threads/{thread}", "/threads/{thread}/turns", "/threads/{thread}/download",
     "/threads/{thread}/row", "/threads/{thread}/conversation", "/live?thread={thread}"],
)  # fmt: skip
def test_another_organisations_thread_is_as_one_that_never_existed(
    visitor: Visitor, dashboard: ServerProcess, path: str
) -> None:
    theirs = Api(dashboard, dashboard.key).new_thread(title="secret")["id"]
    answer = visitor.ask("GET", path.format(thread=theirs))
    unknown = visitor.ask("GET", path.format(thread="thread-" + "0" * 32))
    assert answer.status == unknown.status == 404
    assert answer.error["message"] == f"No thread found with id '{theirs}'."
    assert theirs not in visitor.rows()[0]
    assert visitor.filtered(theirs) == visitor.filtered("secret") == []
    assert visitor.change("DELETE", f"/threads/{theirs}").status == 404


def test_a_person_gets_a_page_and_a_script_gets_json(visitor: Visitor) -> None:
    page = visitor.ask("GET", "/nothing", headers=HTML)
    assert page.status == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert_error_shape(visitor.ask("GET", "/nothing"))


def test_a_wrong_method_is_told_which_ones_there_are(visitor: Visitor) -> None:
    answer = visitor.change("DELETE", "/threads")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"


def test_an_error_page_shows_what_was_asked_for_as_text(visitor: Visitor) -> None:
    page = visitor.ask("GET", "/%3Cimg%20src=x%3E", headers=HTML).body.decode()
    assert "<img src=x" not in page


def test_an_asset_is_sent_once_and_then_found_unchanged(stranger: Visitor) -> None:
    first = stranger.ask("GET", "/assets/dashboard.js")
    assert first.status == 200
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = stranger.ask(
        "GET", "/assets/dashboard.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "name", ["../door.py", "..%2fdoor.py", "", "vendor", "%2e%2e/templates/home.html", "nope.js"]
)
def test_nothing_but_assets_is_found_among_the_assets(stranger: Visitor, name: str) -> None:
    assert stranger.ask("GET", f"/assets/{name}").status in (401, 404)


def test_a_picture_lies_at_an_address_of_the_web_and_in_a_frame_of_ours(visitor: Visitor) -> None:
    answer = visitor.ask("GET", "/picture?url=https%3A%2F%2Fexample.com%2Fa.png%3Fb%3D%22")
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "img-src https: http:", "sandbox"} <= set(policy)
    assert "frame-ancestors 'self'" in policy
    assert b'src="https://example.com/a.png?b=&#34;"' in answer.body
    for url in ("javascript:alert(1)", "data:image/svg+xml,x", "file:///etc/passwd", "//a", ""):
        assert visitor.ask("GET", f"/picture?url={url}").status == 400


def test_reads_have_tokens_of_their_own_and_changes_take_the_keys(
    start_server: Callable[..., ServerProcess],
) -> None:
    config = "[tiers]\ndefault = 2\n[dashboard]\nreads_per_minute = 5\n"
    server = start_server(config=config, owners=(SLOW,))
    visitor = Visitor(server.port).sign_in(server.keys[SLOW])
    reads = [visitor.ask("GET", "/threads").status for _ in range(6)]
    assert reads[0] == 200
    assert reads[-1] == 429
    changes = [visitor.change("POST", "/threads", {}) for _ in range(3)]
    assert [answer.status for answer in changes] == [200, 200, 429]
    assert changes[-1].error["code"] == "rate_limit_exceeded"
    assert int(changes[-1].headers["retry-after-ms"]) > 0


def test_where_it_is_off_the_dashboard_is_an_unknown_url(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(config="[dashboard]\nenabled = false\n")
    answer = Api(server, "").call("GET", "/dashboard")
    assert answer.status == 404
    assert answer.error["message"] == "Invalid URL (GET /dashboard)"


def test_the_access_log_names_the_visitors_organisation_and_no_query(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server(config="[server]\naccess_log = true\n")
    visitor = Visitor(server.port).sign_in(server.key)
    visitor.filtered("confidential")
    server.terminate()
    assert 'acme/web "GET /dashboard/threads" 200' in server.log
    assert "confidential" not in server.log
    assert server.key not in server.log
