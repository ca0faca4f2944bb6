"""The dashboard: the same threads as people read them, in a browser, behind a sign-in.

It asks the actors with the commands that the API uses, and reads messages through the vault, so
encrypted threads are readable here and nowhere else. It parses no markup of anybody's: a message
goes out as escaped text, and becomes Markdown in the browser that asked for it.
"""

from ragen_actor.dashboard.door import Dashboard

__all__ = ["Dashboard"]
