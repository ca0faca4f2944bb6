"""`python -m ragen_actor` is `ragen-actor`."""

from __future__ import annotations

from ragen_actor.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
