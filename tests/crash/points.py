"""The named places at which a history can end: before and after each sync, rename and unlink.

A place is named after who asks for the call: `draft.Draft.take_name.replace`. The names are read
from the sources, so that a new call has one at once, and a test asks that a history ends there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType

import storage

CALLS = frozenset(
    {"sync", "sync_directory", "sync_everything", "write_durable", "replace", "unlink"}
)
ASIDE = "write_aside"
ASIDE_CALLS = ("unlink", "sync", "replace", "sync_directory")
UNSYNCED_CALLS = ("unlink", "replace")
_BY_THE_WAY = frozenset({ASIDE, "write_durable"})
"""Calls of a disk that are made of others."""

Origin = list[tuple[str, CodeType]]
"""Who asked, the nearest first: modules and functions of storage."""


def origin(frame: FrameType | None) -> Origin:
    """Return who of storage is on the stack."""
    found: Origin = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("storage.") or frame.f_code.co_name in _BY_THE_WAY:
            found.append((module.removeprefix("storage."), frame.f_code))
        frame = frame.f_back
    return found


def point(call: str, job: Origin) -> str:
    """Name the place of a call that is about to be made.

    Args:
        call: The disk's.
        job: Who handed the job in that makes it; asked when the disk's own call was handed in.
    """
    wanted, tail = call, call
    for module, code in [*origin(sys._getframe(1)), *job]:
        if code.co_name == ASIDE:
            wanted, tail = ASIDE, f"{ASIDE}.{call}"
        elif code.co_name == "write_durable":
            wanted = tail = "write_durable"
        elif wanted in code.co_names and module != "durable":
            return f"{module}.{code.co_qualname}.{tail}"
    return f"unknown.{call}"


def named() -> list[str]:
    """Read every name from storage's sources, sorted."""
    found: set[str] = set()
    for path in sorted(Path(storage.__file__).parent.glob("*.py")):
        if path.stem not in ("durable", "__init__"):
            found |= set(_in(ast.parse(path.read_text()), path.stem))
    return sorted(found)


def _in(tree: ast.AST, owner: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and _calls(node.func) == ASIDE:
            # One that is not to last is not synced.
            lasts = not any(each.arg == "durable" for each in node.keywords)
            for call in ASIDE_CALLS if lasts else UNSYNCED_CALLS:
                yield f"{owner}.{ASIDE}.{call}"
        if (call := _calls(node)) in CALLS:
            yield f"{owner}.{call}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _in(node, f"{owner}.{node.name}")
        else:
            yield from _in(node, owner)


def _calls(node: ast.AST) -> str:
    """Return which of a disk's methods an expression names."""
    if isinstance(node, ast.Attribute):
        whose = node.value
        name = whose.attr if isinstance(whose, ast.Attribute) else getattr(whose, "id", "")
        if name.lstrip("_") == "disk":
            return node.attr
    return ""
