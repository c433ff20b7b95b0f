"""`make_plot` and `bar_chart` compute the geometry of an SVG for a template to draw; both are pure.

A plot has columns over time. Its texts are not in the SVG, which is as wide as the page: it scales
in one direction only.

A bar chart has bars of one or two series, for `templates/web/console/charts.html`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEIGHT = 100
"""Of the SVG's own coordinates; each step of time is one wide."""


_NICE = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Period:
    """How far back a plot reaches, in steps of time."""

    key: str
    length: timedelta
    step: timedelta

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.length // self.step


PERIODS = (
    Period("24h", timedelta(hours=24), timedelta(minutes=15)),
    Period("7d", timedelta(days=7), timedelta(hours=2)),
    Period("30d", timedelta(days=30), timedelta(hours=8)),
)


def find_period(key: str) -> Period:
    """The period of this key; the shortest for another."""
    return next((each for each in PERIODS if each.key == key), PERIODS[0])


@dataclass(frozen=True, slots=True)
class Plot:
    """Columns of one or two values on top of each other, in a box of `width` × HEIGHT."""

    width: int
    lower: str
    """The path of the columns of the first value."""
    upper: str
    """The path of those of the second, which stand on them."""
    gaps: str
    """The path of the steps that nothing is known of."""
    marks: str
    """The path of the horizontal lines at the limits that lie inside."""
    top: float
    """The value at the upper edge."""
    highest: float
    """The largest value."""


def make_plot(
    until: datetime,
    period: Period,
    values: Mapping[datetime, Sequence[float]],
    limits: Sequence[float] = (),
) -> Plot:
    """The plot of `values`: the end of a step -> one value or two. `limits` are lines across it.

    The last step ends at `until`. Steps without a value are drawn as gaps.
    """
    ends = [until - period.step * n for n in reversed(range(period.steps))]
    highest = max((sum(given) for given in values.values()), default=0)
    top = nice_ceiling(highest)
    lower, upper, gaps = [], [], []
    for x, end in enumerate(ends):
        given = values.get(end)
        if given is None:
            gaps.append(_column(x, 0, HEIGHT))
            continue
        heights = [value / top * HEIGHT for value in given]
        lower.append(_column(x, 0, heights[0]))
        if len(heights) > 1:
            upper.append(_column(x, heights[0], heights[1]))
    lines = (HEIGHT - limit / top * HEIGHT for limit in limits if limit < top)
    return Plot(
        width=len(ends),
        lower="".join(lower),
        upper="".join(upper),
        gaps="".join(gaps),
        marks="".join(f"M0 {y:.1f}H{len(ends)}" for y in lines),
        top=top,
        highest=highest,
    )


def nice_ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, … that is not below the value."""
    if value <= 1:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return float(next(nice * power for nice in _NICE if nice * power >= value))


def _column(x: int, bottom: float, height: float) -> str:
    """A column as a path; nothing without a height."""
    if height <= 0:
        return ""
    return f"M{x} {HEIGHT - bottom:.1f}v{-height:.1f}h1v{height:.1f}z"


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
