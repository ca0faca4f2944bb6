"""The command `ragen-actor`: what an operator types, and what it answers.

Whatever an operator can do wrong ends in one line that says what to do next, and in an exit code of
`Exit`, never in a traceback.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence

from ragen_actor.cli.arguments import parser
from ragen_actor.cli.exit_codes import Exit
from ragen_actor.config import ConfigError, load_config
from ragen_actor.keyring import KeyringError
from storage.errors import DataDirInUse, StorageError

__all__ = ["Exit", "main"]

_CANNOT_LISTEN = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: The words after the command's name; None takes those of this process.
    """
    try:
        arguments = parser().parse_args(argv)
        config = load_config(
            arguments.config,
            os.environ,
            data_dir=arguments.data_dir,
            host=getattr(arguments, "host", None),
            port=getattr(arguments, "port", None),
        )
        code: int = arguments.run(arguments, config)
        print(end="", flush=True)  # Here, where what goes wrong with it still gets a code.
    except SystemExit as usage:  # From argparse, which has said why.
        return usage.code if isinstance(usage.code, int) else Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough. What is left of it must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except (ConfigError, KeyringError) as error:
        return _fail(Exit.USAGE, str(error))
    except DataDirInUse as error:
        return _fail(Exit.IN_USE, str(error))
    except StorageError as error:
        return _fail(Exit.FAILED, str(error))
    except OSError as error:
        if isinstance(error, socket.gaierror) or _is_about_listening(error):
            reason = error.strerror or str(error)
            return _fail(Exit.CANNOT_LISTEN, f"cannot listen: {reason}; {_advice(error)}")
        place = error.filename or config.storage.data_dir
        return _fail(Exit.FAILED, f"{place}: {error.strerror or error}")
    return code


def _fail(code: Exit, reason: str) -> Exit:
    print(f"ragen-actor: {reason}", file=sys.stderr)
    return code


def _is_about_listening(error: OSError) -> bool:
    return error.errno in _CANNOT_LISTEN and error.filename is None


def _advice(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "--host must be a name or an address of this machine"
    if error.errno == errno.EADDRINUSE:
        return "choose another --port, or stop the program that has this one"
    return "a port below 1024 needs a privilege: choose another --port"
