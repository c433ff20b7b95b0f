"""The geometry of plots."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from preference_center.web.console.charts import (
    PERIODS,
    Period,
    find_period,
    make_plot,
    nice_ceiling,
)
from tests.clock import START

HOUR = timedelta(hours=1)
FOUR_HOURS = Period("4h", 4 * HOUR, HOUR)


def columns(path: str) -> list[tuple[int, float, float]]:
    """Where each column is: x, the lower edge, the height."""
    found = re.findall(r"M(\d+) ([\d.]+)v-([\d.]+)h1v\3z", path)
    return [(int(x), float(y), float(height)) for x, y, height in found]


def test_each_step_is_a_column_and_unknown_ones_are_gaps() -> None:
    values = {START: (4.0,), START - HOUR: (0.0,), START - 3 * HOUR: (10.0,)}
    plot = make_plot(START, FOUR_HOURS, values)
    assert plot.width == 4
    assert plot.top == 10
    assert plot.highest == 10
    assert columns(plot.lower) == [(0, 100, 100), (3, 100, 40)]
    assert columns(plot.gaps) == [(1, 100, 100)]
    assert plot.upper == ""


def test_a_second_value_stands_on_the_first() -> None:
    plot = make_plot(START, FOUR_HOURS, {START: (30.0, 20.0)})
    assert plot.top == 50
    assert columns(plot.lower) == [(3, 100, 60)]
    assert columns(plot.upper) == [(3, 40, 40)]


def test_only_limits_inside_are_drawn() -> None:
    plot = make_plot(START, FOUR_HOURS, {START: (40.0,)}, limits=(36, 48, 72))
    assert plot.top == 50
    assert plot.marks == "M0 28.0H4M0 4.0H4"


def test_nothing_known_is_one_gap_after_the_other() -> None:
    plot = make_plot(START, FOUR_HOURS, {})
    assert len(columns(plot.gaps)) == 4
    assert plot.top == 1


@pytest.mark.parametrize(
    "value, top",
    [(0, 1), (1, 1), (1.5, 2), (2, 2), (3, 5), (7, 10), (10, 10), (11, 20), (720, 1e3)],
)
def test_the_upper_edge_is_a_round_number(value: float, top: float) -> None:
    assert nice_ceiling(value) == top


def test_periods_have_less_than_a_hundred_steps() -> None:
    assert [each.steps for each in PERIODS] == [96, 84, 90]
    assert find_period("7d").length == timedelta(days=7)
    assert find_period("nonsense") is PERIODS[0]
