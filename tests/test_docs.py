"""The documentation under test: what it says must be so, and nothing may be missing."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ragen_actor.cli import main
from ragen_actor.cli.arguments import parser
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.cli.serve import FIRST_ORG, FIRST_PROJECT, curl_line
from ragen_actor.config import UNLIMITED_TIER, allowed, setting_type
from ragen_actor.schema import limits
from ragen_actor.settings import SECTIONS, TIER_SECTIONS, Config, Server, default_tiers
from ragen_actor.web import connections
from ragen_actor.web.error_map import TABLE
from ragen_actor.web.routes import DOCUMENTED
from storage.record import LINE_BYTES_MAX
from tests.server_process import ROOT, KeyOwner, ServerProcess

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *ADRS]
ADR_SECTIONS = ["Context", "Decision", "Consequences", "What would change our mind"]
REPLY = "Parcel 18 is on its way to you."
BASE_URL, KEY = "http://127.0.0.1:8080", "sk-ragen-YOUR-KEY"
SETTINGS = [
    *((section, key) for section, kind in SECTIONS.items() for key in kind.__struct_fields__),
    *((section, tier) for section in TIER_SECTIONS for tier in default_tiers()),
]


def table(first: str, text: str = README) -> list[list[str]]:
    """The rows of each table whose first column is headed so."""
    found, reading = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|"):
            reading = False
        elif cells[0] == first:
            reading = True
        elif reading and not line.startswith("|---"):
            found.append(cells)
    assert found, f"there is no table whose first column is {first!r}"
    return found


def plain(cell: str) -> str:
    return cell.replace("`", "")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*?## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def command_words(of: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, set[str]]]:
    """Every command, as `ragen-actor keys list`, with its options."""
    nested = [each for each in of._actions if isinstance(each, argparse._SubParsersAction)]
    for action in nested:
        for name, command in action.choices.items():
            yield from command_words(command, f"{words} {name}")
    if not nested:
        yield words, {option for action in of._actions for option in action.option_strings}


def shell_lines() -> list[str]:
    """What a reader may paste into a shell."""
    pasted = [line for block in blocks("sh") for line in block.splitlines()]
    pasted += [
        line.removeprefix("$ ")
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    return pasted


@pytest.mark.parametrize(("section", "key"), SETTINGS)
def test_every_setting_stands_in_the_readme_with_its_default_and_bound(
    section: str, key: str
) -> None:
    rows = {plain(row[0]): row for row in table("key")}
    name = f"{section}.{key}"
    assert name in rows, f"README.md lacks {name} among the settings"
    _, default, unit, bound, meaning, price = rows[name]
    built_in = getattr(Config(), section)
    value = built_in[key] if section in TIER_SECTIONS else getattr(built_in, key)
    shown = tomllib.loads(f"value = {plain(default)}")["value"]
    assert shown == (list(value) if isinstance(value, tuple) else type(shown)(value))
    must_stay = section in TIER_SECTIONS and key == UNLIMITED_TIER
    assert plain(bound) == ("0" if must_stay else allowed(setting_type(section, key)))
    assert unit and meaning and price


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    assert {plain(row[0]) for row in table("key")} == {".".join(pair) for pair in SETTINGS}


def test_the_api_table_holds_every_route_and_no_other() -> None:
    documented = {f"{method} {path}" for path, methods in DOCUMENTED.items() for method in methods}
    assert {plain(row[0]) for row in table("route")} == documented


def test_every_status_of_an_error_is_explained() -> None:
    shown = [row for row in table("status") if len(row) == 4 and all(row)]
    assert {int(row[0]) for row in shown} == {status for status, _ in TABLE.values()}
    for status, kind in TABLE.values():
        assert any(int(row[0]) == status and kind in row[2] for row in shown), (status, kind)


def test_the_limits_are_those_of_the_code() -> None:
    said = {plain(of): most for of, most in table("of")}
    for of, numbers in {
        "metadata": (
            limits.METADATA_PAIRS_MAX,
            limits.METADATA_KEY_LENGTH_MAX,
            limits.METADATA_VALUE_LENGTH_MAX,
        ),
        "one text": (limits.TEXT_LENGTH_MAX, 1),
        "title": (limits.TITLE_LENGTH_MAX,),
        "assistant_id": (limits.ASSISTANT_ID_LENGTH_MAX,),
        "tool_resources": (limits.CODE_INTERPRETER_FILES_MAX, limits.VECTOR_STORES_MAX),
        "messages in one create of a thread": (Server().messages_per_create_max,),
        "page": (limits.LIST_LIMIT_MAX, Config().storage.page_bytes_max >> 20),
        "request body": (Server().body_bytes_max >> 20,),
        "stored message": (LINE_BYTES_MAX >> 20,),
        "request line, header field": (connections.LINE_BYTES_MAX >> 10,),
    }.items():
        found = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", said[of])]
        assert found == list(numbers), of


def test_every_command_and_option_is_named() -> None:
    rows = {plain(row[0]) for row in table("command") if "ragen-actor" in row[0]}
    everywhere = {"-h", "--help", "--data-dir", "--config"}
    assert everywhere - {"-h"} <= set(re.findall(r"--[a-z-]+", README))
    for words, options in command_words(parser(), "ragen-actor"):
        named = [row for row in rows if row == words or row.startswith(f"{words} ")]
        assert len(named) == 1, words
        assert set(re.findall(r"--[a-z-]+", named[0])) == options - everywhere


def test_every_exit_code_has_its_meaning() -> None:
    assert {int(code): plain(text) for code, text in table("exit code")} == {
        int(code): code.meaning for code in Exit
    }


def test_every_command_line_shown_is_one_that_is_understood() -> None:
    commands = [
        shlex.split(line)[1:]
        for line in shell_lines()
        if line.startswith(("ragen-actor", ".venv/bin/ragen-actor"))
    ]
    assert commands
    for words in commands:
        assert callable(parser().parse_args(words).run)


def test_the_first_command_is_shown_as_the_server_prints_it() -> None:
    shown = blocks("console")[0]
    found = re.search(r"sk-ragen-\S+", shown)
    assert found
    assert f"  {curl_line(BASE_URL, found[0])}\n" in shown


@pytest.fixture
def upstream() -> Iterator[str]:
    """A model that has one answer; its base URL."""

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            message = {"role": "assistant", "content": REPLY}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
            body = json.dumps({**answer, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Model) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        serving.join()


def test_the_python_of_the_readme_prints_what_it_says(
    start_server: Callable[..., ServerProcess], upstream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = KeyOwner(org=FIRST_ORG, project=FIRST_PROJECT)
    server = start_server(owners=(owner,), config=f'[upstream]\nbase_url = "{upstream}"')
    examples = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", README, re.S | re.M)
    assert len(examples) == len(blocks("python"))
    names: dict[str, object] = {}
    for code, printed in examples:
        code = code.replace(f"{BASE_URL}/v1", server.base_url).replace(KEY, server.keys[owner])
        exec(compile(code, "README.md", "exec"), names)
        assert capsys.readouterr().out == printed
    names["client"].close()  # type: ignore[attr-defined] # The examples are not typed.


def test_the_backup_lines_of_the_readme_make_sound_copies(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    folder = own_server.data_dir.parent
    lines = next(block for block in blocks("sh") if "cp -aT" in block).splitlines()
    assert [line.split()[0] for line in lines] == ["cp", "tar", "rsync"]
    for line in lines[:2]:  # A machine need not have rsync.
        assert subprocess.run(["sh", "-c", line], cwd=folder, check=False).returncode in (0, 1)
    [copied] = folder.glob("backup-*[0-9]")
    [packed] = folder.glob("backup-*.tar.gz")
    subprocess.run(["tar", "-xzf", packed], cwd=tmp_path, check=True)
    for copy in (copied, tmp_path / "data"):
        assert main(["check", "--data-dir", str(copy)]) == Exit.FINE


KEPT_BY = [
    *(row[1] for row in (*table("promise"), *table("figure"))),
    *(each for row in table("durability") for each in row[1].split("; ")),
]


def test_there_are_six_promises_of_durability() -> None:
    assert len(table("durability")) == 6


@pytest.mark.parametrize("promise", KEPT_BY)
def test_every_promise_names_a_test_that_exists(promise: str) -> None:
    found = re.fullmatch(r"\[`(tests/\S+\.py)::(test_\w+)`\]\((\S+)\)", promise)
    assert found, f"no link to a test: {promise}"
    path, name, link = found.groups()
    assert link == path
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), promise


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        linked = document.parent / path if path else document
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings
            }, target


def test_the_make_targets_of_the_readme_are_those_of_the_makefile() -> None:
    documented = {plain(row[0]) for row in table("command") if row[0].startswith("`make ")}
    existing = {f"make {target}" for target in make_targets()}
    assert documented == existing, f"README.md and Makefile differ in {documented ^ existing}"
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:`|\$ |^)make ([a-z-]+)", document.read_text(), re.MULTILINE))
        assert named <= make_targets(), document.name


def test_the_architecture_lists_every_module_and_no_other() -> None:
    drawn = "".join(blocks("text", ARCHITECTURE))
    listed = set(re.findall(r"^((?:storage|ragen_actor)/\S+\.py) +\S", drawn, re.MULTILINE))
    modules = {
        str(path.relative_to(ROOT))
        for package in ("storage", "ragen_actor")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    assert not modules - listed, f"the rooms lack {sorted(modules - listed)}"
    assert not listed - modules, f"there is no {sorted(listed - modules)}"


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]\n\n### \w+\n\n- \S", text, re.MULTILINE)


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.name)
def test_every_decision_has_its_four_parts_and_is_known_to_the_architecture(adr: Path) -> None:
    text = adr.read_text()
    number = adr.name[:4]
    assert text.startswith(f"# {int(number)}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ADR_SECTIONS
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE))
    assert f"docs/adr/{adr.name}" in ARCHITECTURE


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(adr.name[:4]) for adr in ADRS] == list(range(1, len(ADRS) + 1))


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    foreign = re.compile(r"(?<![\w.])/" + r"work\b|/" + r"tmp/|\." + r"library\b")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():  # One that was removed is listed until that is committed.
            found = foreign.search(path.read_bytes().decode("utf-8", "replace"))
            assert not found, f"{name}: {found}"
