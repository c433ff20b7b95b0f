"""When an act happened, by the database's clock, whatever the host's shows (I5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.core.clocks import HostTime, age_of, correct_time
from tests.clock import START

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("skew", [-HOUR, -SECOND, timedelta(0)])
def test_a_host_whose_clock_is_behind_dates_nothing_earlier(skew: timedelta) -> None:  # I5
    then, now = HostTime(START + skew), HostTime(START + 30 * SECOND + skew)
    assert age_of(then, now) == 30 * SECOND
    assert correct_time(then.at, then, now, START + 30 * SECOND) == START


def test_one_whose_clock_is_ahead_dates_nothing_earlier_than_it_said() -> None:  # I5
    # An older opt-in of the same person may have been dated by the same clock.
    then, now = HostTime(START + 20 * SECOND), HostTime(START + 50 * SECOND)
    assert correct_time(then.at, then, now, START + 30 * SECOND) == START + 20 * SECOND


def test_nothing_is_in_the_future() -> None:  # I3: its deadline would be later, too
    then, now = HostTime(START + 2 * HOUR), HostTime(START + 2 * HOUR + SECOND)
    assert correct_time(then.at, then, now, START + SECOND) == START + SECOND


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_step_of_the_clock_does_not_change_the_age(step: timedelta) -> None:  # I5
    then = HostTime(START - HOUR, "a", 500 * SECOND)
    now = HostTime(START - HOUR + 30 * SECOND + step, "a", 530 * SECOND)
    assert correct_time(then.at, then, now, START + 30 * SECOND) == START


@pytest.mark.parametrize("boot_id", ["b", ""], ids=["another boot", "unknown"])
def test_the_clock_since_a_boot_counts_for_that_boot_only(boot_id: str) -> None:
    then = HostTime(START, "a" if boot_id else "", 500 * SECOND)
    now = HostTime(START + 40 * SECOND, boot_id, 3 * SECOND)
    assert age_of(then, now) == 40 * SECOND


def test_an_age_is_never_negative() -> None:
    assert age_of(HostTime(START), HostTime(START - HOUR)) == timedelta(0)
    later = HostTime(START, "a", 9 * SECOND)
    assert age_of(later, HostTime(START, "a", SECOND)) == timedelta(0)
