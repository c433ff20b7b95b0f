"""The window: 36, 48 and 72 hours, and retries that keep inside them (I3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.deadlines import (
    PAUSE_DAYS,
    UNDO_PERIOD,
    WINDOW,
    DeadlineStage,
    deadline_stage,
    destination_retry,
    email_retry,
    late_stages,
    refused_retry,
    row_retry,
    slowed_retry,
    worst_stage,
)
from tests.clock import START as NOW

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    "waited,expected",
    [
        (timedelta(0), DeadlineStage.ON_TIME),
        (36 * HOUR - SECOND, DeadlineStage.ON_TIME),
        (36 * HOUR, DeadlineStage.AT_RISK),
        (48 * HOUR - SECOND, DeadlineStage.AT_RISK),
        (48 * HOUR, DeadlineStage.PAST_TARGET),
        (72 * HOUR - SECOND, DeadlineStage.PAST_TARGET),
        (72 * HOUR, DeadlineStage.OVERDUE),
        (999 * HOUR, DeadlineStage.OVERDUE),
    ],
)  # fmt: skip
def test_stages_begin_at_36_48_and_72_hours(
    waited: timedelta, expected: DeadlineStage
) -> None:  # I3
    assert deadline_stage(NOW - waited + WINDOW, NOW) is expected


def test_a_database_counts_by_the_same_bounds() -> None:  # I3
    for hours in range(100):
        due_at = NOW - hours * HOUR + WINDOW
        found = [
            stage
            for stage, after, up_to in late_stages(NOW)
            if due_at <= up_to and (after is None or due_at > after)
        ]
        assert [deadline_stage(due_at, NOW)] == (found or [DeadlineStage.ON_TIME])


def test_the_worst_stage_is_the_latest() -> None:
    assert worst_stage([]) is DeadlineStage.ON_TIME
    assert worst_stage([*DeadlineStage]) is DeadlineStage.OVERDUE
    assert worst_stage([DeadlineStage.PAST_TARGET, DeadlineStage.AT_RISK]) == "past_target"


def test_what_people_are_offered() -> None:
    assert PAUSE_DAYS == (7, 30, 90)
    assert UNDO_PERIOD == 30 * MINUTE


@pytest.mark.parametrize(
    "attempts,delay",
    [(1, 10 * SECOND), (2, 20 * SECOND), (5, 160 * SECOND), (9, 2560 * SECOND), (10, HOUR)],
)  # fmt: skip
def test_an_address_is_tried_at_doubling_intervals(attempts: int, delay: timedelta) -> None:
    assert row_retry(attempts, NOW + WINDOW, NOW) == NOW + delay


def test_attempts_without_end_overflow_nothing() -> None:
    assert row_retry(10**9, None, NOW) == NOW + HOUR
    assert destination_retry(10**9, NOW) == NOW + 5 * MINUTE


def test_the_retry_after_of_a_tool_is_kept_while_the_deadline_is_far() -> None:
    assert row_retry(1, NOW + WINDOW, NOW, retry_after=6 * HOUR) == NOW + 6 * HOUR


def test_the_retry_after_of_a_tool_takes_at_most_a_third_of_the_time_left() -> None:  # I3
    assert row_retry(1, NOW + 6 * HOUR, NOW, retry_after=6 * HOUR) == NOW + 2 * HOUR


def test_a_refused_address_is_tried_daily_and_not_all_at_once() -> None:  # I3
    assert refused_retry(NOW) == NOW + 24 * HOUR
    assert refused_retry(NOW, jitter=1.0) == NOW + 23 * HOUR


@pytest.mark.parametrize("late", [timedelta(0), SECOND, 100 * HOUR])
@pytest.mark.parametrize("wait", [None, 48 * HOUR])
def test_past_due_every_15_minutes_for_ever(late: timedelta, wait: timedelta | None) -> None:  # I3
    assert row_retry(50, NOW - late, NOW, retry_after=wait) == NOW + 15 * MINUTE


delays = st.timedeltas(timedelta(0), timedelta(days=30))


@given(
    st.integers(1, 1000), st.timedeltas(45 * MINUTE, WINDOW), st.none() | delays, st.floats(0, 1)
)
def test_a_retry_leaves_time_for_two_more(
    attempts: int, left: timedelta, wait: timedelta | None, jitter: float
) -> None:  # I3: spaced by the deadline, not by a count
    due = NOW + left
    at = row_retry(attempts, due, NOW, retry_after=wait, jitter=jitter)
    assert NOW < at <= NOW + left / 3 + SECOND


@given(st.integers(1, 1000), st.none() | delays, st.floats(0, 1))
def test_a_tool_that_fails_all_the_time_is_tried_right_up_to_the_deadline(
    attempts: int, wait: timedelta | None, jitter: float
) -> None:  # I3
    now: datetime = NOW
    due, tries = NOW + WINDOW, 0
    while now < due - HOUR:
        now = row_retry(attempts + tries, due, now, retry_after=wait, jitter=jitter)
        tries += 1
    assert tries >= 3
    assert now <= due


@pytest.mark.parametrize(
    "failures,delay", [(1, 5 * SECOND), (2, 10 * SECOND), (6, 160 * SECOND), (7, 5 * MINUTE)]
)
def test_an_open_circuit_is_probed_every_5_minutes(failures: int, delay: timedelta) -> None:  # I3
    assert destination_retry(failures, NOW) == NOW + delay


@given(st.integers(1, 1000), st.none() | delays, st.floats(0, 1))
def test_no_tool_can_hold_us_off_for_more_than_an_hour(
    failures: int, wait: timedelta | None, jitter: float
) -> None:  # I3
    at = destination_retry(failures, NOW, retry_after=wait, jitter=jitter)
    assert NOW < at <= NOW + max(5 * MINUTE, min(wait or timedelta(0), HOUR))


@given(st.integers(1, 30), st.floats(0, 1))
def test_jitter_takes_at_most_a_quarter(attempts: int, jitter: float) -> None:
    full = row_retry(attempts, None, NOW) - NOW
    spread = row_retry(attempts, None, NOW, jitter=jitter) - NOW
    assert full * 0.75 - SECOND <= spread <= full


def test_the_most_jitter_takes_a_quarter() -> None:
    assert row_retry(1, None, NOW, jitter=1.0) == NOW + 7.5 * SECOND
    assert destination_retry(3, NOW, jitter=1.0) == NOW + 15 * SECOND


@pytest.mark.parametrize(
    "attempts, after",
    [(1, 10 * SECOND), (2, 20 * SECOND), (5, 160 * SECOND), (6, 5 * MINUTE), (99, 5 * MINUTE)],
)
def test_an_email_is_tried_ever_later_up_to_five_minutes(attempts: int, after: timedelta) -> None:
    expires_at = NOW + HOUR
    assert email_retry(attempts, expires_at, NOW) == NOW + after
    assert email_retry(attempts, expires_at, NOW, jitter=1.0) == NOW + after * 0.75


def test_an_email_is_retried_no_later_than_it_expires() -> None:
    assert email_retry(9, NOW + MINUTE, NOW) == NOW + MINUTE


@pytest.mark.parametrize(
    "slowed_for, asked, delay",
    [(0, None, 5), (5, None, 5), (40, None, 40), (3000, None, 300), (0, 90, 90), (0, 90_000, 3600)],
)
def test_a_slowed_tool_is_tried_again_after_as_long_as_it_has_been_slow(
    slowed_for: int, asked: int | None, delay: int
) -> None:  # I3
    now = NOW + timedelta(seconds=slowed_for)
    retry_after = None if asked is None else timedelta(seconds=asked)
    found = slowed_retry(NOW, now, retry_after=retry_after)
    assert found == now + timedelta(seconds=delay)
