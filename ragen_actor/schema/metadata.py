"""How a change of metadata is merged into what an object holds."""

from __future__ import annotations

from collections.abc import Mapping

from ragen_actor.schema import limits, wording


def merge_metadata(
    current: Mapping[str, str], change: Mapping[str, str | None] | None
) -> dict[str, str]:
    """Return `current` with `change` merged in: given keys are set, null ones removed.

    A replace would lose the keys that a client did not repeat, so OpenAI merges. Removing is ours.

    Args:
        current: At most 16 pairs.
        change: Pairs, of which there may be more than 16; None removes every pair there is.

    Raises:
        InvalidRequest: More than 16 pairs would be left (param="metadata").
    """
    if change is None:
        return {}
    merged = {**current, **change}
    kept = {name: value for name, value in merged.items() if value is not None}
    if len(kept) > limits.METADATA_PAIRS_MAX:
        raise wording.many_properties("metadata", limits.METADATA_PAIRS_MAX, len(kept))
    return kept
