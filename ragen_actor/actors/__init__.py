"""Who owns what: one actor for each thread, one for each organisation's catalogue.

An actor alone plans the writes of what it owns, in the order in which they were asked for, and
answers none before it is durable. The registry calls actors into being and lets them go.
"""

from ragen_actor.actors.commands import (
    AppendMessage,
    CreateThread,
    DeleteMessage,
    DeleteThread,
    GetMessage,
    GetThread,
    ListMessages,
    ListThreads,
    ModifyMessage,
    ModifyThread,
)
from ragen_actor.actors.limits import Limits
from ragen_actor.actors.registry import Registry
from ragen_actor.actors.watching import Change, Watch, Watchers

__all__ = [
    "AppendMessage",
    "Change",
    "CreateThread",
    "DeleteMessage",
    "DeleteThread",
    "GetMessage",
    "GetThread",
    "Limits",
    "ListMessages",
    "ListThreads",
    "ModifyMessage",
    "ModifyThread",
    "Registry",
    "Watch",
    "Watchers",
]
