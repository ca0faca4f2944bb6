"""What a fresh machine without the right Python is told, tried with stand-ins for `python3`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server_process import ROOT

OLD = """#!/bin/sh
case "$1" in
    --version) echo "Python 3.9.2" ;;
    *) exit 1 ;;
esac
"""
WITHOUT_VENV = """#!/bin/sh
case "$*" in
    *ensurepip*) exit 1 ;;
    --version) echo "Python 3.11.2" ;;
esac
"""
NEW = """#!/bin/sh
case "$*" in
    --version) echo "Python 3.13.0" ;;
    "-m venv"*) for folder; do :; done; mkdir -p "$folder/bin"; touch "$folder/bin/pip" ;;
esac
"""
ABSENT = "#!/bin/sh\nexit 127\n"


class Machine:
    """A machine with only these commands, on which one asks make for something."""

    def __init__(self, folder: Path) -> None:
        self.venv = folder / "venv"
        self._bin = folder / "bin"
        self._bin.mkdir()
        for command in ("make", "sh", "awk", "mkdir", "touch"):
            found = shutil.which(command)
            assert found, command
            (self._bin / command).symlink_to(found)

    def has(self, command: str, script: str) -> None:
        (self._bin / command).write_text(script)
        (self._bin / command).chmod(0o755)

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "--directory", str(ROOT), f"VENV={self.venv}", *words],
            env={"PATH": str(self._bin), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_any_python_make_serve_names_the_packages(machine: Machine) -> None:
    asked = machine.make("serve")
    assert asked.returncode != 0
    assert "Python 3.11 or newer is needed" in asked.stderr
    assert "apt-get install python3 python3-venv" in asked.stderr


def test_a_python_too_old_is_named_with_the_package_to_install(machine: Machine) -> None:
    machine.has("python3", OLD)
    asked = machine.make("serve")
    assert asked.returncode != 0
    assert "python3 is Python 3.9.2" in asked.stderr
    assert "apt-get install python3.11 python3.11-venv" in asked.stderr
    assert not machine.venv.exists()


def test_a_newer_python_beside_an_old_one_is_found(machine: Machine) -> None:
    machine.has("python3", OLD)
    machine.has("python3.13", NEW)
    assert machine.make(f"{machine.venv}/bin/pip").returncode == 0
    assert (machine.venv / "bin" / "pip").exists()


def test_a_command_that_only_seems_to_be_a_python_is_passed_over(machine: Machine) -> None:
    machine.has("python3", ABSENT)
    machine.has("python3.12", NEW)
    assert machine.make(f"{machine.venv}/bin/pip").returncode == 0


@pytest.mark.parametrize("word", ["serve", "test"])
def test_a_missing_venv_module_is_named_with_its_package(machine: Machine, word: str) -> None:
    machine.has("python3", WITHOUT_VENV)
    asked = machine.make(word)
    assert asked.returncode != 0
    assert "python3 has no venv module" in asked.stderr
    assert "apt-get install python3-venv" in asked.stderr
    assert not machine.venv.exists()


def test_make_test_node_fails_with_the_name_of_the_missing_package(machine: Machine) -> None:
    (machine.venv / "bin").mkdir(parents=True)
    for built in ("bin/pip", ".dev.stamp"):
        (machine.venv / built).touch()
    asked = machine.make("test-node")
    assert asked.returncode != 0
    assert "apt-get install nodejs" in asked.stderr
    machine.has("node", "#!/bin/sh\n")
    asked = machine.make("test-node")
    assert asked.returncode != 0
    assert "apt-get install npm" in asked.stderr


def test_make_alone_lists_every_word(machine: Machine) -> None:
    listed = machine.make().stdout
    for word in ("serve", "test", "test-node", "check", "help"):
        assert f"make {word} " in listed
