"""The words of the command line, with help enough to do without a manual."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ragen_actor import __version__
from ragen_actor.cli import check, compact, keys, master_keys, serve
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.settings import DEFAULT_TIER, Server, Storage

_EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<4} {code.meaning}" for code in Exit)

_OVERVIEW = f"""\
A durable server for OpenAI's Threads and Messages, on plain files.

  ragen-actor serve                                     start; the first start makes a key
  ragen-actor keys create --org acme --project web      make a further key
  ragen-actor check                                     read everything, report damage
  ragen-actor check --repair                            keep what is readable, set aside the rest
  ragen-actor compact --now                             make what was deleted unreadable at once
  ragen-actor master-key create --file master.key       make a master key for encrypted threads
  ragen-actor rewrap                                    move encrypted threads to a new master key

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

GET /healthz answers 200 once the server has started, GET /readyz only while it takes requests.
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

with the path relative to the data directory and the offset in bytes. Nothing is changed. It may run
beside a server, and on a copy.

With --repair, and the server stopped: do what the last run left in the journal, as a start would;
then lay each stretch that is unreadable beside its file, as FILE.damaged-OFFSET, and write all that
is readable anew. Nothing is deleted but what can be derived again. What it did is printed, a line
each; running it again finds nothing to do. What it cannot bring back:

  messages on a damaged line             gone from their thread; all others keep their order and ids
  a thread whose file is gone            served empty; restore the file from a backup instead
  a thread whose catalogue line is gone  listed again, without title, metadata and key
  a message or thread that a damaged     taken out too, and kept aside: what was deleted must not
  line may have deleted                  come back

Copy the data directory before a repair if there is room: cp -a data data-before-repair
"""

_CHECK_EXAMPLES = f"""\
examples:
  ragen-actor check --data-dir backup
  ragen-actor check --repair --data-dir /var/lib/ragen

{_EXIT_CODES}
"""

_COMPACT = """\
Rewrite files without what is dead in them: deleted messages, former versions of changed ones, and
the entries of deleted threads. Remove the files of threads that were deleted long ago. A server
does this by itself; this command does it at once, through control.sock in the data directory when a
server runs there, else by itself. Requests are served meanwhile, and no write is lost.

Without --now only what is due: files of which enough is dead (storage.compact_dead_ratio and
compact_dead_bytes), and threads deleted before storage.reap_seconds.

With --now everything that was deleted or superseded before the command began: every file with
anything dead in it is rewritten, the files of all deleted threads are removed, and old batches of
the journal are overwritten with zeros. Afterwards no file of the data directory holds a deleted
text, but for those that a repair or a recovery laid aside (*.damaged*, *.torn-*): they are counted,
and yours to remove. Backups, snapshots and freed blocks of the device are out of its reach. Do not
use it while the data directory is being copied: the copy may miss files that it lists.

Interrupting it is safe: it stops after the file in hand, and may be run again.
"""

_COMPACT_EXAMPLES = f"""\
examples:
  ragen-actor compact --now
  ragen-actor compact --data-dir /var/lib/ragen

{_EXIT_CODES}
"""

_MASTER_KEY_CREATE = """\
Make a master key for encrypted threads, put it into a new file that only its owner can read, and
print its id. The file must not lie in the data directory. Name it in vault.master_key_files and
restart the server. Keep a copy of it apart from the data: without it nobody can read the threads.
"""

_MASTER_KEY_EXAMPLES = f"""\
examples:
  ragen-actor master-key create --file /etc/ragen/master.key

{_EXIT_CODES}
"""

_REWRAP = """\
Move every encrypted thread to the master key that wraps the keys of new ones. Messages are not
encrypted anew: only the wrapping of each thread's key is replaced.

To change the master key, put the new one first in vault.master_key_files, or set AWS_KMS_KEY_ID,
keep the old one configured, restart the server, and run this. It is done through control.sock by
the server that has the data directory, with its settings, or without a server by this command.

Interrupting it is safe: run it again, and it goes on with what is left. Afterwards the old key
opens nothing that is in use, but former wrappings lie in the files until they are compacted:
run `ragen-actor compact --now` before the old key is given up, and keep it for older backups.
"""

_REWRAP_EXAMPLES = f"""\
examples:
  ragen-actor rewrap
  ragen-actor rewrap --data-dir /var/lib/ragen

{_EXIT_CODES}
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses carries `run(arguments, config)`, the command itself."""
    main = _described(argparse.ArgumentParser(prog="ragen-actor", allow_abbrev=False), _OVERVIEW)
    main.add_argument("--version", action="version", version=f"ragen-actor {__version__}")
    commands = main.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_keys(commands)
    _add_check(commands)
    _add_compact(commands)
    _add_master_key(commands)
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


def _add_check(commands: Any) -> None:
    summary = "read everything, report damage, repair it"
    command = _add(commands, "check", summary, _CHECK, _CHECK_EXAMPLES, check.check)
    command.add_argument(
        "--repair",
        action="store_true",
        help="set aside what is unreadable and keep the rest; the server must be stopped",
    )


def _add_compact(commands: Any) -> None:
    summary = "rewrite files without what was deleted"
    command = _add(commands, "compact", summary, _COMPACT, _COMPACT_EXAMPLES, compact.compact)
    command.add_argument(
        "--now", action="store_true", help="all that is dead, at once, journal included"
    )


def _add_master_key(commands: Any) -> None:
    summary = "make a master key for encrypted threads"
    group = commands.add_parser("master-key", help=summary, allow_abbrev=False)
    actions = group.add_subparsers(metavar="ACTION", required=True)
    create = _add(
        actions,
        "create",
        "make a master key in a file",
        _MASTER_KEY_CREATE,
        _MASTER_KEY_EXAMPLES,
        master_keys.create,
    )
    create.add_argument(
        "--file", metavar="FILE", type=Path, required=True, help="where the key is put; a new file"
    )
    summary = "move encrypted threads to a new master key"
    _add(commands, "rewrap", summary, _REWRAP, _REWRAP_EXAMPLES, master_keys.rewrap)


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
