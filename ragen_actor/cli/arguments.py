"""The words of the command line, with help enough to do without a manual."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ragen_actor import __version__
from ragen_actor.cli import check, keys, serve
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.settings import DEFAULT_TIER, Server, Storage

_EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<4} {code.meaning}" for code in Exit)

_OVERVIEW = f"""\
A durable server for OpenAI's Threads and Messages, on plain files.

  ragen-actor serve                                     start; the first start makes a key
  ragen-actor keys create --org acme --project web      make a further key
  ragen-actor check                                     read everything, report damage

Settings come, in rising order of rank, from built-in defaults, config.toml in the working
directory (or --config FILE), environment variables as RAGEN_SERVER_PORT=9000, and options.
config.toml tells every setting with its unit, bound, default and price.

{_EXIT_CODES}
"""

_SERVE = f"""\
Serve until SIGTERM or SIGINT; then answer what is queued and stop.

A data directory without a key gets one, of organisation {serve.FIRST_ORG}, project
{serve.FIRST_PROJECT}, tier {DEFAULT_TIER}. It is printed on standard output, once, with a curl
command to try it. Everything else is logged to standard error.

GET /healthz answers 200 once the server is up, GET /readyz only while it takes requests.
"""

_SERVE_EXAMPLES = f"""\
examples:
  ragen-actor serve
  ragen-actor serve --data-dir /var/lib/ragen --port 9000
  RAGEN_TIERS_DEFAULT=60 ragen-actor serve --config /etc/ragen.toml

{_EXIT_CODES}
"""

_KEYS = """\
Make, list and revoke API keys. All of it works while a server runs on the data directory, and
takes effect there within a second.
"""

_CREATE = """\
Make an API key and print it, alone, on standard output. It is stored as a hash only: it cannot be
shown again. Threads belong to the organisation, so every key of it can read and change them.
"""

_CREATE_EXAMPLES = f"""\
examples:
  ragen-actor keys create --org acme --project web
  KEY=$(ragen-actor keys create --org acme --project jobs --tier unlimited --name nightly)

{_EXIT_CODES}
"""

_LIST = """\
List every key ever made, oldest first: the start of its hash (its id), its hint (the first 8 and
last 4 characters), and what it was made for. The keys themselves are stored nowhere.
"""

_REVOKE = """\
End a key. Its organisation's threads stay. A key that is revoked already stays so.
"""

_REVOKE_EXAMPLES = f"""\
examples:
  ragen-actor keys revoke 5e884898da28         the id, as `keys list` shows it
  ragen-actor keys revoke sk-ragen...x7Qa      the hint

{_EXIT_CODES}
"""

_CHECK = """\
Read every file and report each damage on standard output, a line each:

  path:offset: reason; hint

with the path relative to the data directory and the offset in bytes. Nothing is changed.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses carries `run(arguments, config)`, the command itself."""
    main = _described(argparse.ArgumentParser(prog="ragen-actor", allow_abbrev=False), _OVERVIEW)
    main.add_argument("--version", action="version", version=f"ragen-actor {__version__}")
    commands = main.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_keys(commands)
    _add(commands, "check", "read everything, report damage", _CHECK, _EXIT_CODES, check.check)
    return main


def _add_serve(commands: Any) -> None:
    command = _add(commands, "serve", "start the server", _SERVE, _SERVE_EXAMPLES, serve.serve)
    command.add_argument(
        "--host",
        help=f"address or name to listen on (default: {Server().host}; setting server.host)",
    )
    command.add_argument(
        "--port",
        help=f"TCP port; 0 takes any free one (default: {Server().port}; setting server.port)",
    )


def _add_keys(commands: Any) -> None:
    group = _described(
        commands.add_parser("keys", help="make, list and revoke API keys", allow_abbrev=False),
        _KEYS,
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)

    create = _add(actions, "create", "make a key", _CREATE, _CREATE_EXAMPLES, keys.create)
    letters = "1 to 64 of A-Z a-z 0-9 _ -"
    create.add_argument("--org", required=True, help=f"organisation; owns threads ({letters})")
    create.add_argument("--project", required=True, help=f"project within it ({letters})")
    create.add_argument(
        "--tier",
        default=DEFAULT_TIER,
        help="rate limit, one of [tiers] in the configuration (default: %(default)s)",
    )
    create.add_argument("--name", default="", help="a note for humans, at most 64 characters")

    listing = _add(actions, "list", "list all keys", _LIST, _EXIT_CODES, keys.list_all)
    listing.add_argument("--json", action="store_true", help="print one JSON array instead")

    revoke = _add(actions, "revoke", "end a key", _REVOKE, _REVOKE_EXAMPLES, keys.revoke)
    revoke.add_argument(
        "key", metavar="KEY-OR-HINT", help="its id or hint from `keys list`, or the key itself"
    )


def _add(
    commands: Any, name: str, summary: str, text: str, epilog: str, run: object
) -> argparse.ArgumentParser:
    """Add one command with the options that all of them have."""
    command = _described(
        commands.add_parser(name, help=summary, allow_abbrev=False), text, epilog=epilog
    )
    command.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="TOML file with settings (default: config.toml in the working directory, if any)",
    )
    command.add_argument(
        "--data-dir",
        metavar="DIR",
        help=f"where all files lie (default: {Storage().data_dir}; setting storage.data_dir)",
    )
    command.set_defaults(run=run)
    return command


def _described(
    command: argparse.ArgumentParser, text: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.description = text
    command.epilog = epilog
    return command
