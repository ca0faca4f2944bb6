"""How costs grow, as a table and as a drawing, beside what is expected of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import plot
from bench.plot import Curve, Panel
from bench.wrk import Measured

FLAT, LINEAR = "flat", "linear"
FLAT_TIMES_MAX = 1.5
"""How many times the CPU of its smallest size a flat curve's largest may take."""

_READING = f"""
Each figure is a median of the rounds: the server's CPU time for one request, in microseconds, and
the latency that half of the requests stayed below. What is expected: *flat* where the work is a
bisection and one read, and then the largest size may cost {FLAT_TIMES_MAX} times the smallest;
*linear* where bytes are moved, and then the cost may grow as much as the size, and no more."""


@dataclass
class Series:
    """One kind of request at several sizes.

    Attributes:
        name: What is asked.
        expected: `FLAT` or `LINEAR`.
        points: The rounds' measurements, by size.
    """

    name: str
    expected: str
    points: dict[int, list[Measured]] = field(default_factory=dict)

    def curve(self, value: Callable[[Measured], float]) -> list[tuple[int, float]]:
        """Return the medians of a value, by size."""
        return [(size, statistics.median(map(value, found))) for size, found in self.points.items()]

    @property
    def times(self) -> float:
        """How many times the CPU of the smallest size the largest one takes."""
        cpu = [value for _, value in self.curve(lambda each: each.cpu_us)]
        return cpu[-1] / max(cpu[0], 1e-9)

    @property
    def verdict(self) -> str:
        """Whether it is as expected; a linear curve may not grow more than its size does."""
        sizes = list(self.points)
        most = FLAT_TIMES_MAX if self.expected == FLAT else sizes[-1] / sizes[0]
        return "yes" if self.times <= most else "**no**"


@dataclass
class Group:
    """What is asked as one thing grows."""

    title: str
    across: str
    series: dict[str, Series]


def table(groups: Sequence[Group], date: str, machine: str, drawing: str) -> str:
    """Return the report, as Markdown.

    Args:
        groups: What was measured.
        date: Its heading.
        machine: The lines about where.
        drawing: The name of the file with the curves.
    """
    parts = [f"# {date}: how costs grow", "", machine, "", f"![]({drawing})", _READING]
    for group in groups:
        sizes = sorted({size for each in group.series.values() for size in each.points})
        parts += [
            "",
            f"## {group.title}",
            "",
            f"| CPU µs / p50 ms | {' | '.join(f'{size:,}' for size in sizes)} "
            "| times | expected | so it is |",
            "|---" * (len(sizes) + 4) + "|",
            *(_row(series, sizes) for series in group.series.values()),
        ]
    return "\n".join([*parts, ""])


def _row(series: Series, sizes: Sequence[int]) -> str:
    cpu = dict(series.curve(lambda each: each.cpu_us))
    p50 = dict(series.curve(lambda each: each.p50_ms))
    cells = [f"{cpu[size]:.0f} / {p50[size]:.2f}" if size in cpu else "" for size in sizes]
    return (
        f"| {series.name} | {' | '.join(cells)} "
        f"| {series.times:.2f} | {series.expected} | {series.verdict} |"
    )


def drawing(groups: Sequence[Group]) -> str:
    """Return the curves, as SVG: for each group CPU on the left and latency on the right."""
    panels = []
    for group in groups:
        logarithmic = any(each.expected == LINEAR for each in group.series.values())
        for up, value in (
            ("CPU a request, µs", lambda each: each.cpu_us),
            ("p50, ms", lambda each: each.p50_ms),
        ):
            curves = [
                Curve(f"{each.name} ({each.expected})", each.curve(value))
                for each in group.series.values()
            ]
            panels.append(Panel(group.title, group.across, up, curves, logarithmic))
    return plot.render(panels)
