"""Generation: requests that another server answers, passed on as they are.

    client ──> gate ──> Upstream ──> Passage ──> the OpenAI-compatible server
                        who, how     one request, piece by piece;
                        many, until  its answer, byte for byte
                        when

Nothing is stored here and nothing is understood: what comes from either side goes on as it comes,
but for the few header fields that belong to one side alone. No more of a body is in memory than is
on its way, and nothing here waits for a thread or lets a thread wait.
"""

from ragen_actor.upstream.client import Upstream, api_key, warnings
from ragen_actor.upstream.passage import Relayed
from ragen_actor.upstream.reply import Ours
from ragen_actor.upstream.targets import METHODS

__all__ = ["METHODS", "Ours", "Relayed", "Upstream", "api_key", "warnings"]
