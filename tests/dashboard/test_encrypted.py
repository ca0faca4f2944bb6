from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from ragen_actor.schema import PLACEHOLDER
from tests.dashboard.visitor import Visitor
from tests.server_process import ServerProcess
from tests.wire.http_call import Api

SECRET = "the marmot sleeps in the seventh drawer"


def hidden(visitor: Visitor) -> str:
    """Make an encrypted thread with a secret in its first turn."""
    body = {"title": "Plans", "messages": [{"role": "user", "content": SECRET}]}
    return visitor.made("POST", "/threads?encrypted=true", body)


def test_an_encrypted_thread_is_read_here_and_nowhere_else(visitor: Visitor, api: Api) -> None:
    thread = hidden(visitor)
    visitor.made("POST", f"/threads/{thread}/turns", {"role": "assistant", "content": SECRET[::-1]})
    page = visitor.ask("GET", f"/threads/{thread}").body.decode()
    assert SECRET in page
    assert SECRET[::-1] in page
    found = api.page(f"/v1/threads/{thread}/messages")["data"]
    assert [each["content"][0]["text"]["value"] for each in found] == [PLACEHOLDER] * 2
    stored = b"".join(path.read_bytes() for path in files(api.server.data_dir))
    assert SECRET.encode() not in stored
    assert SECRET[::-1].encode() not in stored
    assert SECRET not in api.server.log


def files(data_dir: Path) -> list[Path]:
    return [path for path in data_dir.rglob("*") if path.is_file()]


def test_the_list_shows_a_lock_and_no_first_turn(visitor: Visitor, api: Api) -> None:
    body = {"messages": [{"role": "user", "content": SECRET}]}
    thread = visitor.made("POST", "/threads?encrypted=true", body)
    plain = api.new_thread(title="plain")["id"]
    row = visitor.ask("GET", f"/threads/{thread}/row").body.decode()
    assert 'class="lock"' in row
    assert "Encrypted thread" in row
    assert SECRET not in row
    assert 'class="lock"' not in visitor.ask("GET", f"/threads/{plain}/row").body.decode()
    assert visitor.filtered(thread) == [thread]


def test_a_download_of_an_encrypted_thread_is_readable(visitor: Visitor) -> None:
    thread = hidden(visitor)
    lines = visitor.ask("GET", f"/threads/{thread}/download").body.splitlines()
    assert json.loads(lines[1])["content"][0]["text"]["value"] == SECRET


def test_a_change_of_the_title_leaves_the_turns_readable(visitor: Visitor, api: Api) -> None:
    thread = hidden(visitor)
    visitor.made("PATCH", f"/threads/{thread}", {"title": "Other plans", "metadata": {"a": "b"}})
    assert SECRET in visitor.turns(thread, "")[1].body.decode()
    assert api.page(f"/v1/threads/{thread}")["title"] == "Other plans"


def test_a_copy_is_readable_with_the_master_key_and_says_so_without_it(
    elsewhere: Callable[[str], ServerProcess],
    start_server: Callable[..., ServerProcess],
    tmp_path: Path,
) -> None:
    server = elsewhere("")
    thread = hidden(Visitor(server.port).sign_in(server.key))
    server.terminate()
    key = tmp_path / "master.key"
    for name, config in (("with", f'[vault]\nmaster_key_files = ["{key}"]\n'), ("without", "")):
        shutil.copytree(server.data_dir, tmp_path / name / "data")
        copy = ServerProcess(tmp_path / name / "data", config=config)
        copy.start()
        try:
            visitor = Visitor(copy.port).sign_in(server.key)
            page = visitor.ask("GET", f"/threads/{thread}").body.decode()
            assert (SECRET in page) == (name == "with")
            assert ("These turns cannot be read now." in page) == (name == "without")
            if name == "without":
                assert "There is no master key" in page
                body = {"role": "user", "content": "more"}
                refused = visitor.change("POST", f"/threads/{thread}/turns", body)
                assert refused.error["code"] == "master_key_missing"
                assert visitor.ask("GET", f"/threads/{thread}/download").status == 500
                assert "Encrypt the turns" not in page
        finally:
            copy.close()


def test_without_a_master_key_nobody_is_offered_one_and_nothing_is_made(
    own_server: ServerProcess,
) -> None:
    visitor = Visitor(own_server.port).sign_in(own_server.key)
    assert "Encrypt the turns" not in visitor.ask("GET", "").body.decode()
    answer = visitor.change("POST", "/threads?encrypted=true", {"title": "x"})
    assert (answer.status, answer.error["code"]) == (400, "encryption_off")
    assert visitor.rows()[0] == []
