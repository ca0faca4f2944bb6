"""The rules of the house, read from the sources themselves."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ragen_actor", "storage")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))
LINES_MAX = 300
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "tools"}

# From the roof to the ground: a floor may use those below it.
FLOORS = ("cli", "server", "control", "dashboard", "vault", "web", "actors", "storage")
# Rooms that every floor of ragen_actor may enter. They know nothing of the floors, but for what
# stands here: keys are kept in lines of storage's format.
ROOMS = {
    "bounds": set(),
    "config": set(),
    "control_path": set(),
    "settings": set(),
    "errors": set(),
    "schema": set(),
    "entropy": set(),
    "token_bucket": set(),
    "upstream": set(),
    "keyring": {"storage"},
    "key_changes": {"storage"},
    "key_file": {"storage"},
    "key_repair": {"storage"},
    "open_files": {"storage"},
}
ENTRY = {"__main__": {"cli"}, "__init__": set()}

# Calls that make bytes last or names change, and the modules that may make them. Keys are written
# by commands beside the server, under a lock of their own.
LASTING = {
    "fsync", "fdatasync", "pwrite", "pwritev", "writev", "replace", "rename", "unlink", "remove",
    "ftruncate", "truncate", "flock", "syncfs",
}  # fmt: skip
LASTING_MODULES = {"os", "fcntl", "shutil"}
MAY_LAST = {
    "storage/durable.py": LASTING,
    "storage/filesystem.py": LASTING,
    "storage/datadir.py": {"flock"},
    "ragen_actor/key_file.py": {"fsync", "flock", "ftruncate"},
    "ragen_actor/key_changes.py": {"fsync", "flock", "ftruncate"},
    "ragen_actor/vault/master_key_file.py": {"fsync"},
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module, or name in one, that a file imports."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(module: str) -> str | None:
    """Name the floor or the room that a module belongs to; None for what is not ours."""
    parts = module.split(".")
    if parts[0] == "storage":
        return "storage"
    if parts[0] != "ragen_actor":
        return None
    # `from ragen_actor import __version__` names what the package itself holds.
    return "__init__" if len(parts) == 1 or parts[1] == "__version__" else parts[1]


def place_of(path: Path) -> str:
    found = place(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert found is not None
    return found


def may_use(user: str) -> set[str]:
    """Name what a floor or a room may import of ours."""
    if user == "storage":
        return {"storage"}
    if user in ENTRY:
        return ENTRY[user] | {user}
    if user in FLOORS:
        below = set(FLOORS[FLOORS.index(user) :])
        if user in ("web", "dashboard"):
            below.remove("storage")
        if user == "vault":
            below -= {"web", "storage"}
        return below | set(ROOMS)
    return ROOMS[user] | set(ROOMS)


def test_every_module_is_on_a_floor_or_in_a_room() -> None:
    places = {place_of(path) for path in SOURCES}
    assert places == {*FLOORS, *ROOMS, *ENTRY}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_never_go_upward(path: Path) -> None:
    allowed = may_use(place_of(path))
    used = {found for module in imports(path) if (found := place(module)) is not None}
    # `from ragen_actor import schema` names the package and then the room.
    assert used - {"__init__"} <= allowed


def test_the_web_never_imports_storage() -> None:
    for path in (ROOT / "ragen_actor/web").rglob("*.py"):
        assert not [module for module in imports(path) if place(module) == "storage"], path


@pytest.mark.parametrize("floor", ["web", "actors"])
def test_the_public_api_has_no_way_to_open_what_is_sealed(floor: str) -> None:
    for path in (ROOT / "ragen_actor" / floor).rglob("*.py"):
        for module in imports(path):
            assert not module.startswith(("ragen_actor.vault", "ragen_actor.dashboard")), path
            assert module.split(".")[0] not in {"cryptography", "aiobotocore", "botocore"}, path
            assert floor == "actors" or not module.startswith("ragen_actor.actors.sealed"), path


def test_storage_knows_no_http_and_nothing_of_what_it_holds() -> None:
    foreign = {"ragen_actor", "aiohttp", "openai", "yarl", "multidict", "uvloop", "orjson"}
    for path in (ROOT / "storage").rglob("*.py"):
        used = {module.split(".")[0] for module in imports(path)}
        assert not used & foreign, path
        for node in ast.walk(parsed(path)):
            words = ""
            if isinstance(node, ast.Name):
                words = node.id
            elif isinstance(node, ast.Attribute):
                words = node.attr
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                words = node.name
            forbidden = re.search(r"openai|http|assistant|metadata|role|content", words, re.I)
            assert not forbidden, f"{path}: {words}"


def lasting_calls(path: Path) -> set[str]:
    """Name the calls of the operating system's modules that make bytes last or names change."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in LASTING_MODULES and node.attr in LASTING:
                found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module in LASTING_MODULES:
            found |= {alias.name for alias in node.names} & LASTING
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_makes_bytes_last_or_removes_a_name_but_where_all_of_it_is(path: Path) -> None:
    assert lasting_calls(path) <= MAY_LAST.get(name_of(path), set())


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_writes_files_behind_the_back_of_durable(path: Path) -> None:
    """Neither a `Path` nor a file object of Python's own writes: only descriptors do."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"write_bytes", "write_text", "touch", "rmtree"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", f"line {node.lineno}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    for path in (*SOURCES, *TESTS, *BENCH):
        assert path.stem not in VAGUE, path
        assert path.parent.name not in VAGUE, path


@pytest.mark.parametrize("path", [*SOURCES, *BENCH], ids=name_of)
def test_a_module_has_three_hundred_lines_at_most(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def test_what_a_checker_must_overlook_is_named_by_its_code() -> None:
    for path in (*SOURCES, *TESTS):
        for line, comment in comments(path):
            where = f"{name_of(path)}:{line}: {comment}"
            if "type: ignore" in comment:
                assert re.search(r"type: ignore\[[a-z, -]+\]", comment), where
            if "noqa" in comment:
                assert re.search(r"noqa: [A-Z]+[0-9]+", comment), where


def test_no_test_is_skipped_and_none_is_expected_to_fail() -> None:
    for path in TESTS:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"skip", "skipif", "xfail", "importorskip", "skipTest"}, (
                    f"{name_of(path)}:{node.lineno}"
                )


def test_no_test_sleeps_but_to_look_again() -> None:
    """A sleep stands in a loop that ends when its condition holds.

    In tests/crash the loop's time is made up, so sleeping takes none; one test waits for as long as
    it was told to.
    """
    exempt = {each for each in TESTS if each.parent.name == "crash"}
    exempt.add(ROOT / "tests/wire/test_rate_limits.py")
    for path in set(TESTS) - exempt:
        tree = parsed(path)
        harmless = {
            id(inner)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While)
            for inner in ast.walk(loop)
        }
        harmless |= {id(node.func) for node in ast.walk(tree) if is_a_mere_turn(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "sleep":
                assert id(node) in harmless, f"{name_of(path)}:{node.lineno}"


def is_a_mere_turn(node: ast.AST) -> TypeGuard[ast.Call]:
    """Tell whether this is a call with the one argument 0: the loop turns, no time passes."""
    if not isinstance(node, ast.Call) or len(node.args) != 1:
        return False
    argument = node.args[0]
    return isinstance(argument, ast.Constant) and argument.value == 0


def test_errors_are_swallowed_nowhere_but_at_the_outermost_handlers() -> None:
    found = set()
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = node.type
                broad = caught is None or (
                    isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}
                )
                raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if broad and not raises:
                    found.add(name_of(path))
    assert found <= {
        "ragen_actor/dashboard/door.py",
        "ragen_actor/web/gate.py",
        "ragen_actor/web/fast_path.py",
        "ragen_actor/actors/actor.py",
        "ragen_actor/actors/registry.py",
        "storage/committer.py",
    }
