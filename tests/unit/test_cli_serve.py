from __future__ import annotations

import http.client
import json
import logging
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ragen_actor.cli import Exit, machine, main
from ragen_actor.cli.serve import announce, curl_line, set_up_logging
from ragen_actor.config import Config, Storage, load_config
from ragen_actor.keyring import KEYS_FILE, Keyring, create_key, revoke_key

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"sk-ragen-[A-Za-z0-9_-]{43}")
SECONDS_MAX = 20.0


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RAGEN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


# The first key


def config_for(data_dir: Path) -> Config:
    return Config(storage=Storage(data_dir=data_dir))


def test_a_data_directory_without_a_key_gets_one_with_a_command_that_can_be_pasted(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(config_for(data_dir), "http://127.0.0.1:4711")

    out = capsys.readouterr().out
    [token] = set(TOKEN.findall(out))
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    key = keyring.find(token)
    assert key is not None
    assert (key.org, key.project, key.tier) == ("default", "default", "default")
    command = next(line for line in out.splitlines() if "curl" in line).strip()
    assert command == curl_line("http://127.0.0.1:4711", token)


def test_the_first_key_is_made_once(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(config_for(data_dir), "http://127.0.0.1:4711")
    capsys.readouterr()

    announce(config_for(data_dir), "http://127.0.0.1:4711")

    assert capsys.readouterr().out == ""


def test_who_revoked_every_key_is_not_given_another(
    data_dir: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token, _ = create_key(data_dir, "acme", "web", "default", "", 1.0)
    revoke_key(data_dir, token, 1.0)

    announce(config_for(data_dir), "http://127.0.0.1:4711")

    assert capsys.readouterr().out == ""
    assert "no key is in force: make one with `ragen-actor keys create`" in caplog.text


def test_a_folder_that_forbids_the_first_key_does_not_stop_the_server(
    data_dir: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (data_dir / "orgs" / "Default").mkdir(parents=True)

    announce(config_for(data_dir), "http://127.0.0.1:4711")

    assert capsys.readouterr().out == ""
    assert "make a key with `ragen-actor keys create`" in caplog.text


@pytest.mark.parametrize(
    ("base_url", "reached"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/threads"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080/v1/threads"),
        ("http://[::]:8080", "http://[::1]:8080/v1/threads"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/threads"),
        ("http://box.example:80", "http://box.example:80/v1/threads"),
    ],
)
def test_the_curl_line_reaches_the_server_from_this_machine(base_url: str, reached: str) -> None:
    words = shlex.split(curl_line(base_url, "sk-ragen-x"))

    assert words[:3] == ["curl", "-sS", reached]
    assert "Authorization: Bearer sk-ragen-x" in words
    assert json.loads(words[-1])["messages"][0]["role"] == "user"


# Logging and the machine


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers = []  # What basicConfig replaces it also closes, and pytest's own must live.
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("untouched_logging")
def test_a_line_of_the_log_has_time_severity_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info")

    logging.getLogger("ragen_actor.some").info("hello %s", "there")
    logging.getLogger("ragen_actor.some").debug("not this")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ragen_actor\.some: hello there\n",
        capsys.readouterr().err,
    )


@pytest.fixture
def open_files() -> Iterator[int]:
    """Half of the open files that this process may have; the limit itself is put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    half = min(soft, 4096) // 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (half, hard))
    yield half
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_of_open_files_is_raised_to_what_is_allowed(open_files: int) -> None:
    raised = machine.raise_open_files_limit()

    assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert raised > open_files


def test_a_disk_that_runs_low_is_warned_of(data_dir: Path) -> None:
    environ = {"RAGEN_STORAGE_DISK_RESERVE_BYTES": str(1 << 50)}
    config = load_config(None, environ, data_dir=str(data_dir))

    [warning] = machine.warnings(config)

    assert re.match(r"only \d+ MiB are free for .*storage\.disk_reserve_bytes", warning)
    assert list(machine.warnings(load_config(None, {}, data_dir=str(data_dir)))) == []


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv rw - nfs4 box:/export rw
31 30 8:2 / /srv/local rw - xfs /dev/sdb rw
32 22 0:41 / /mnt/my\040share rw master:3 propagate_from:2 - cifs //box/share rw
33 22 0:42 / /over rw - nfs box:/a rw
34 22 8:3 / /over rw - ext4 /dev/sdc rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", None),
        ("/srv", "nfs4"),
        ("/srv/ragen/data", "nfs4"),
        ("/srv/local/data", None),
        ("/srvice", None),
        ("/mnt/my share/data", "cifs"),
        ("/over/data", None),
    ],
)
def test_a_network_file_system_is_recognised(tmp_path: Path, folder: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    assert machine.network_file_system(Path(folder), mounts) == kind


def test_where_mounts_are_not_told_no_network_is_suspected(tmp_path: Path) -> None:
    assert machine.network_file_system(tmp_path, tmp_path / "nothing") is None


# Serve, as a process


class Serving:
    """A `ragen-actor serve` that listens on a port of its own choice."""

    def __init__(self, data_dir: Path) -> None:
        words = ["serve", "--data-dir", str(data_dir), "--port", "0"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ragen_actor", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        self.out: list[str] = []
        self.err: list[str] = []
        listening = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, args=(listening,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        assert listening.wait(SECONDS_MAX), "it said nothing"
        assert self.port, "".join(self.err)
        deadline = time.monotonic() + SECONDS_MAX
        while self.ask("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline, "".join(self.err)
            time.sleep(0.01)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and return its exit code once all it wrote is in `out` and `err`."""
        self._process.send_signal(number)
        code = self._process.wait(SECONDS_MAX)
        for reader in self._readers:
            reader.join(SECONDS_MAX)
        return code

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self.out.extend(lines)

    def _read_err(self, listening: threading.Event) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.err.append(line)
                if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                    self.port = int(found[1])
                    listening.set()
        listening.set()


@contextmanager
def serving(data_dir: Path) -> Iterator[Serving]:
    server = Serving(data_dir)
    try:
        yield server
    finally:
        assert server.stop() == Exit.FINE, "".join(server.err)


def test_the_first_start_prints_a_key_whose_curl_line_makes_a_thread(data_dir: Path) -> None:
    with serving(data_dir) as server:
        pass
    # All of standard output is known now; another server takes the same port for what it says.
    [command] = [line for line in server.out if "curl" in line]
    words = shlex.split(command)
    headers = dict(words[at + 1].split(": ") for at, word in enumerate(words) if word == "-H")
    assert words[2] == f"http://127.0.0.1:{server.port}/v1/threads"

    with serving(data_dir) as server:
        status, thread = server.ask("POST", "/v1/threads", words[-1], **headers)

    assert (status, thread["object"]) == (200, "thread")
    assert thread["assistant_id"] == "asst-default"
    assert server.out == []


def test_keys_made_and_revoked_count_in_a_running_server_within_a_second(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def status_within_a_second(token: str, wanted: int) -> int:
        deadline = time.monotonic() + 1.0
        while True:
            status, _ = server.ask("GET", "/v1/threads", Authorization=f"Bearer {token}")
            if status == wanted or time.monotonic() > deadline:
                return status
            time.sleep(0.02)

    with serving(data_dir) as server:
        words = ["--org", "acme", "--project", "web", "--tier", "unlimited"]
        capsys.readouterr()
        main(["keys", "create", *words, "--data-dir", str(data_dir)])
        token = capsys.readouterr().out.strip()
        assert status_within_a_second(token, 200) == 200

        main(["keys", "revoke", token, "--data-dir", str(data_dir)])
        assert status_within_a_second(token, 401) == 401


def test_a_second_server_on_the_directory_is_refused_in_one_line(
    data_dir: Path,
) -> None:
    with serving(data_dir):
        words = [sys.executable, "-m", "ragen_actor", "serve", "--data-dir", str(data_dir)]
        second = subprocess.run(
            [*words, "--port", "0"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX
        )

    assert (second.returncode, second.stdout) == (Exit.IN_USE, "")
    last = second.stderr.splitlines()[-1]
    assert last.startswith(f"ragen-actor: {data_dir}: another server runs on this data directory")
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "choose another --port, or stop the program that has this one"),
        ("192.0.2.1", "--host must be a name or an address of this machine"),
        ("fe80::1%none", "--host must be a name or an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_told_before_a_key_is_made(
    data_dir: Path, address: str, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ["--host", address, "--port", str(taken.getsockname()[1])]
        refused = subprocess.run(
            [sys.executable, "-m", "ragen_actor", "serve", "--data-dir", str(data_dir), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )

    assert (refused.returncode, refused.stdout) == (Exit.CANNOT_LISTEN, "")
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("ragen-actor: cannot listen: ")
    assert last.endswith(f"; {reason}")
    assert "Traceback" not in refused.stderr
    assert not (data_dir / KEYS_FILE).exists()


def test_an_interrupt_from_the_keyboard_ends_a_server_well(data_dir: Path) -> None:
    server = Serving(data_dir)

    assert server.stop(signal.SIGINT) == Exit.FINE
    assert not any("Traceback" in line for line in server.err)


# What a check says of what a server wrote


def test_a_sound_data_directory_is_called_so(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(data_dir):
        pass

    code = main(["check", "--data-dir", str(data_dir)])

    assert code == Exit.FINE
    assert capsys.readouterr() == ("", f"{data_dir}: nothing is damaged\n")


def test_damage_is_reported_with_path_and_offset_and_changes_nothing(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(data_dir):
        pass
    file = data_dir / KEYS_FILE
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)

    code = main(["check", "--data-dir", str(data_dir)])

    out, err = capsys.readouterr()
    assert code == Exit.FAILED
    assert re.fullmatch(rf"{KEYS_FILE}:0: .+; .+\n", out)
    assert err == f"{data_dir}: 1 damaged\n"
    assert file.read_bytes() == content
