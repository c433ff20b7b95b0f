"""Bars: as high as their numbers, side by side, and none where there is nothing."""

from __future__ import annotations

from itertools import pairwise

from preference_center.web.console.charts import BAR_HEIGHT, BAR_WIDTH, bar_chart


def test_bars_are_as_high_as_their_numbers_and_do_not_overlap() -> None:
    chart = bar_chart("t", ["out", "in"], ["Mon", "Tue"], [[100, 50], [0, 25]])
    assert chart.top == 100
    assert [(bar.series, bar.height) for bar in chart.bars] == [
        (0, BAR_HEIGHT),
        (1, BAR_HEIGHT / 2),
        (1, BAR_HEIGHT / 4),
    ]
    assert all(bar.y + bar.height == BAR_HEIGHT for bar in chart.bars)
    ends = [(bar.x, bar.x + bar.width) for bar in chart.bars]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert ends[-1][1] <= BAR_WIDTH
    assert (chart.first, chart.last) == ("Mon", "Tue")


def test_without_numbers_there_are_no_bars() -> None:
    assert bar_chart("t", ["out"], ["Mon"], [[0]]).bars == []
    assert bar_chart("t", ["out"], [], []).bars == []
