"""`ragen-actor serve`: start the server, and hand out the first key."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from urllib.parse import urlsplit

from ragen_actor.cli import machine
from ragen_actor.config import Config
from ragen_actor.keyring import KEYS_FILE, Keyring, KeyringError, create_key
from ragen_actor.settings import DEFAULT_TIER

FIRST_ORG = "default"
FIRST_PROJECT = "default"

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}

_log = logging.getLogger(__name__)


def serve(_arguments: argparse.Namespace, config: Config) -> int:
    """Serve until told to stop; the server decides how it ended."""
    from ragen_actor.server import run  # Takes longest to import, and only this command needs it.

    set_up_logging(config.log.level)
    machine.raise_open_files_limit()
    for warning in machine.warnings(config):
        _log.warning("%s", warning)
    return run(config, announce=lambda base_url: announce(config, base_url))


def announce(config: Config, base_url: str) -> None:
    """Say where the server listens, and make the first key of a data directory that has none.

    Args:
        config: The settings.
        base_url: As `http://127.0.0.1:8080`, without a path.
    """
    _log.info("listening on %s", base_url)
    data_dir = config.storage.data_dir
    keyring = Keyring(data_dir / KEYS_FILE)
    keyring.load()
    known = keyring.keys()
    if known or keyring.damaged():
        # Whoever revoked the last key did not ask for another one to be printed here.
        if all(key.revoked for key in known):
            _log.warning("no key is in force: make one with `ragen-actor keys create`")
        return
    note = "made at the first start"
    try:
        token, _ = create_key(data_dir, FIRST_ORG, FIRST_PROJECT, DEFAULT_TIER, note, time.time())
    except KeyringError as error:  # An organisation's folder without its keys is in the way.
        _log.warning("%s: make a key with `ragen-actor keys create`", error)
        return
    print(
        f"The first API key, of organisation {FIRST_ORG} and project {FIRST_PROJECT}. "
        "It is shown only this once:\n\n"
        f"  {token}\n\n"
        "Try it:\n\n"
        f"  {curl_line(base_url, token)}\n",
        flush=True,
    )
    if config.dashboard.is_served_on(config.server.host):
        print(f"Or sign in with it, in a browser: {base_url}/dashboard\n", flush=True)


def curl_line(base_url: str, token: str) -> str:
    """Return a command that makes a thread, as it can be pasted into a shell on this machine."""
    url = urlsplit(base_url)
    host = _WILDCARDS.get(url.hostname or "")
    if host is not None:
        base_url = f"{url.scheme}://{host}:{url.port}"
    message = '{"messages":[{"role":"user","content":"Hello"}]}'
    return (
        f"curl -sS '{base_url}/v1/threads' -H 'Authorization: Bearer {token}' "
        f"-H 'Content-Type: application/json' -d '{message}'"
    )


def set_up_logging(level: str) -> None:
    """Log to standard error, one line each: time in UTC, severity, origin, text."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
