"""What occurs so often that somebody must learn of it."""

from __future__ import annotations

from datetime import timedelta

from preference_center.core.occurrences import Threshold


def test_a_threshold_is_reached_by_the_last_of_a_period() -> None:
    threshold = Threshold(3, timedelta(hours=1))
    assert [threshold.reached(at) for at in (0, 10, 3_599)] == [False, False, True]


def test_what_occurred_a_period_ago_counts_no_longer() -> None:
    threshold = Threshold(3, timedelta(hours=1))
    assert [threshold.reached(at) for at in (0, 10, 3_600, 3_609)] == [False, False, False, True]
