"""Whether a series of samples stays flat: the slope that no single outlier can bend."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Trend:
    """Where a series went.

    Attributes:
        name: Of what was sampled.
        median: Of all samples.
        rise: Of the fitted line, from the first sample to the last; negative when it falls.
        rise_max: That still counts as flat.
    """

    name: str
    median: float
    rise: float
    rise_max: float

    @property
    def is_flat(self) -> bool:
        """Tell whether it did not rise; a fall is no leak."""
        return self.rise <= self.rise_max


def trend(
    name: str,
    samples: Sequence[tuple[float, float]],
    *,
    share_max: float,
    least_max: float = 0.0,
) -> Trend:
    """Fit a line to samples by the median of the slopes between any two of them.

    Args:
        name: Of what was sampled.
        samples: (seconds, value), two or more, by rising seconds.
        share_max: Of the median that the line may rise.
        least_max: What it may rise in any case.

    Source: Theil and Sen's estimator.
    """
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(samples, 2)]
    median = statistics.median(value for _, value in samples)
    seconds = samples[-1][0] - samples[0][0]
    allowed = max(share_max * median, least_max)
    return Trend(name, median, statistics.median(slopes) * seconds, allowed)
