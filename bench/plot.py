"""Panels of curves as SVG: a logarithmic axis across, a linear one from zero upward.

Both themes of a page are thought of: the ink is the page's own where it says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 580, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 260, 44, 46
_LABEL_WIDTH = 34
_COLUMNS = 2
_COLOURS = ("#1f6fb2", "#d1495b", "#2a9d5c", "#9156b8", "#c27c0e", "#5f6b76")
_STYLE = (
    "svg{background:#fff;color:#1d2329;font:12px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{background:#15191d;color:#e4e8ec}}"
    "text{fill:currentColor}.axis{stroke:currentColor;stroke-opacity:.55}"
    ".grid{stroke:currentColor;stroke-opacity:.13}.title{font-weight:600;font-size:13px}"
)


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        name: As the legend calls it.
        points: (x, y), x above 0, y from 0.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One drawing.

    Attributes:
        title: Above it.
        across: What x is.
        up: What y is.
        curves: One or more.
        logarithmic: Whether y is too, for what grows with x.
    """

    title: str
    across: str
    up: str
    curves: Sequence[Curve]
    logarithmic: bool = False


def render(panels: Sequence[Panel]) -> str:
    """Return an SVG document of some panels."""
    rows = math.ceil(len(panels) / _COLUMNS)
    width, height = _WIDTH * min(_COLUMNS, len(panels)), _HEIGHT * rows
    drawn = "".join(
        f'<g transform="translate({_WIDTH * (place % _COLUMNS)},{_HEIGHT * (place // _COLUMNS)})">'
        f"{_panel(panel)}</g>\n"
        for place, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n<style>{_STYLE}</style>\n{drawn}</svg>\n'
    )


@dataclass(frozen=True)
class _Scale:
    """Where a value lies between two ends of the paper."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = (math.log10(max(each, 1e-9)) for each in (value, low, high))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def _panel(panel: Panel) -> str:
    xs = sorted({x for curve in panel.curves for x, _ in curve.points})
    ys = [y for curve in panel.curves for _, y in curve.points]
    ticks = _decades(min(ys), max(ys)) if panel.logarithmic else _steps(max(ys))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    across = _Scale(xs[0], xs[-1], _LEFT, right, logarithmic=True)
    up = _Scale(ticks[0], ticks[-1], bottom, _TOP, logarithmic=panel.logarithmic)
    parts = [
        _text(_LEFT, 18, panel.title, "title"),
        _text(_LEFT, 34, panel.up),
        _text((_LEFT + right) / 2, _HEIGHT - 8, panel.across, anchor="middle"),
    ]
    for tick in ticks:
        parts.append(_line(_LEFT, up(tick), right, up(tick), "grid"))
        parts.append(_text(_LEFT - 6, up(tick) + 4, short(tick), anchor="end"))
    labelled = math.inf
    for x in reversed(xs):  # The last one has its label for sure.
        parts.append(_line(across(x), bottom, across(x), bottom + 4, "axis"))
        if labelled - across(x) >= _LABEL_WIDTH:
            parts.append(_text(across(x), bottom + 18, short(x), anchor="middle"))
            labelled = across(x)
    parts.append(_line(_LEFT, bottom, right, bottom, "axis"))
    for place, curve in enumerate(panel.curves):
        parts.append(_curve(curve, _COLOURS[place % len(_COLOURS)], across, up))
        parts.append(_legend(curve.name, place, right))
    return "".join(parts)


def _curve(curve: Curve, colour: str, across: _Scale, up: _Scale) -> str:
    places = [(across(x), up(y)) for x, y in curve.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _legend(name: str, place: int, right: float) -> str:
    y = _TOP + 8 + 20 * place
    colour = _COLOURS[place % len(_COLOURS)]
    mark = f'<rect x="{right + 14}" y="{y - 8}" width="10" height="10" rx="2" fill="{colour}"/>'
    return mark + _text(right + 30, y + 1, name)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def _steps(most: float) -> list[float]:
    """Return round numbers from 0 to above `most`."""
    rough = max(most, 1e-9) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough)
    return [step * count for count in range(math.ceil(most / step) + 1)]


def _decades(least: float, most: float) -> list[float]:
    """Return powers of ten from below `least` to above `most`."""
    low = math.floor(math.log10(max(least, 1e-9)))
    high = max(low + 1, math.ceil(math.log10(max(most, 1e-9))))
    return [10.0**power for power in range(low, high + 1)]


def short(value: float) -> str:
    """Return a number as an axis shows it: 1500 is 1.5k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
