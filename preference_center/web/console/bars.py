"""Bars of one or two series as numbers for the SVG of `templates/web/console/charts.html`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preference_center.web.console.plots import nice_ceiling

BAR_WIDTH, BAR_HEIGHT = 720, 120
"""Of the area for bars, in the units of the SVG."""
_GAP = 0.2
"""The share of a step that stays empty."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle; `series` is 0 or 1."""

    series: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """What an SVG shows, and what it says to those who don't see it.

    The table next to it has every number. `top` is the number that the axis ends with.
    """

    title: str
    names: Sequence[str]
    bars: Sequence[Bar]
    top: int
    first: str
    last: str


def bar_chart(
    title: str, names: Sequence[str], labels: Sequence[str], values: Sequence[Sequence[int]]
) -> BarChart:
    """Bars for each label: `values` has one number per name for it."""
    top = int(nice_ceiling(max((number for row in values for number in row), default=0)))
    step = BAR_WIDTH / max(len(labels), 1)
    width = step * (1 - _GAP) / max(len(names), 1)
    bars = [
        Bar(
            series,
            round(step * place + step * _GAP / 2 + width * series, 2),
            round(BAR_HEIGHT - (height := BAR_HEIGHT * number / top), 2),
            round(width, 2),
            round(height, 2),
        )
        for place, row in enumerate(values)
        for series, number in enumerate(row)
        if number
    ]
    ends = (labels[0], labels[-1]) if labels else ("", "")
    return BarChart(title, names, bars, top, *ends)
