from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.dashboard.visitor import Visitor
from tests.server_process import KeyOwner, ServerProcess
from tests.wire.http_call import Api

SESSION = re.compile(r"ragen-session-(\d+)=([0-9a-f]{64}); (.*)")


def test_a_stranger_is_sent_to_sign_in_and_on_to_what_was_wanted(
    dashboard: ServerProcess, owner: KeyOwner, stranger: Visitor
) -> None:
    answer = stranger.ask("GET", "/threads/thread-1")
    assert answer.status == 303
    assert answer.headers["location"] == "/dashboard/sign-in?next=/dashboard/threads/thread-1"
    answer = stranger.try_key(dashboard.keys[owner], wanted="/dashboard/threads/thread-1")
    assert answer.status == 303
    assert answer.headers["location"] == "/dashboard/threads/thread-1"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/dashboard",
        "/dashboard//evil.example",
        "/dashboard\\evil",
        "/dashboardx",
        "/v1/threads",
        "/dashboard/sign-in",
        "/dashboard/\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_signing_in_leads_to_the_dashboard_and_nowhere_else(
    dashboard: ServerProcess, owner: KeyOwner, stranger: Visitor, wanted: str
) -> None:
    answer = stranger.try_key(dashboard.keys[owner], wanted=wanted)
    assert answer.headers["location"] == "/dashboard"


def test_the_cookie_is_kept_from_scripts_from_other_sites_and_from_other_paths(
    dashboard: ServerProcess, owner: KeyOwner, stranger: Visitor
) -> None:
    stranger.try_key(dashboard.keys[owner])
    [line] = [each for each in stranger.lines if each.startswith("ragen-session")]
    found = SESSION.fullmatch(line)
    assert found
    assert int(found[1]) == dashboard.port
    assert set(found[3].split("; ")) == {"HttpOnly", "Path=/dashboard", "SameSite=Strict"}


def test_the_cookie_is_for_tls_only_where_a_trusted_proxy_says_so(
    elsewhere: Callable[[str], ServerProcess],
) -> None:
    server = elsewhere('[server]\ntrusted_proxies = ["127.0.0.1"]\n')
    page = Visitor(server.port).ask("GET", "/sign-in", headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in page.headers["set-cookie"]
    page = Visitor(server.port).ask("GET", "/sign-in")
    assert "; Secure" not in page.headers["set-cookie"]


def test_a_proxy_that_is_not_trusted_is_not_believed(stranger: Visitor) -> None:
    page = stranger.ask("GET", "/sign-in", headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" not in page.headers["set-cookie"]


def test_a_wrong_key_signs_nobody_in_and_is_not_repeated(stranger: Visitor) -> None:
    answer = stranger.try_key("sk-ragen-<script>wrong")
    assert answer.status == 401
    assert b"No such key is in force" in answer.body
    assert b"wrong" not in answer.body
    assert stranger.ask("GET", "").status == 303


def test_only_keys_of_the_projects_named_sign_in_where_any_is_named(
    start_server: Callable[..., ServerProcess],
) -> None:
    people = KeyOwner(project="people")
    config = '[dashboard]\nprojects = ["people"]\n'
    server = start_server(config=config, owners=(people,))
    assert Visitor(server.port).try_key(server.key).status == 401
    assert Visitor(server.port).try_key(server.keys[people]).status == 303


def test_a_form_that_this_browser_did_not_load_signs_nobody_in(
    dashboard: ServerProcess, owner: KeyOwner, stranger: Visitor
) -> None:
    key = dashboard.keys[owner]
    assert stranger.submit("/sign-in", key=key, form="", next="").status == 403
    stranger.ask("GET", "/sign-in")
    assert stranger.submit("/sign-in", key=key, form="0" * 64, next="").status == 403
    answer = stranger.try_key(key, **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403
    assert stranger.ask("GET", "").status == 303


def test_attempts_of_one_address_are_limited_and_others_are_not(
    elsewhere: Callable[[str], ServerProcess],
) -> None:
    server = elsewhere(
        '[server]\ntrusted_proxies = ["127.0.0.1"]\n[dashboard]\nsign_ins_per_minute = 3\n'
    )
    visitor = Visitor(server.port)
    tries = [visitor.try_key("no", **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(4)]
    assert [answer.status for answer in tries] == [401, 401, 401, 429]
    assert 1 <= int(tries[-1].headers["retry-after"]) <= 20
    right = visitor.try_key(server.key, **{"X-Forwarded-For": "192.0.2.1"})
    assert right.status == 429
    assert visitor.try_key(server.key, **{"X-Forwarded-For": "192.0.2.2"}).status == 303


def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    cookies = dict(visitor.cookies)
    assert visitor.submit("/sign-out", csrf=visitor.csrf).status == 303
    assert visitor.ask("GET", "").status == 303
    visitor.cookies = cookies
    assert visitor.ask("GET", "").status == 303


def test_another_page_cannot_sign_anybody_out(visitor: Visitor) -> None:
    cookies = dict(visitor.cookies)
    visitor.submit("/sign-out", csrf="0" * 64)
    visitor.cookies = cookies
    assert visitor.ask("GET", "").status == 200


def test_a_revoked_key_ends_its_sessions_within_seconds(own_server: ServerProcess) -> None:
    visitor = Visitor(own_server.port).sign_in(own_server.key)
    own_server.keys_command("revoke", f"{own_server.key[:8]}...{own_server.key[-4:]}")
    deadline = time.monotonic() + 10
    while visitor.ask("GET", "/threads").status != 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert visitor.ask("GET", "").status == 303


def test_a_restart_ends_every_session(own_server: ServerProcess) -> None:
    visitor = Visitor(own_server.port).sign_in(own_server.key)
    own_server.terminate()
    own_server.restart()
    assert visitor.ask("GET", "").status == 303


def test_a_session_is_no_key_of_the_api_and_a_key_is_no_session(
    visitor: Visitor, api: Api, stranger: Visitor
) -> None:
    answer = Api(api.server, "").call(
        "GET", "/v1/threads", headers={"Cookie": f"x={next(iter(visitor.cookies.values()))}"}
    )
    assert answer.status == 401
    bearer = {"Authorization": f"Bearer {api.key}"}
    assert stranger.ask("GET", "/threads", headers=bearer).status == 401
