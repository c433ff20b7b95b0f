"""Stages and reminders of a request."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.deadlines import RequestStage
from preference_center.rights.rules.deadlines import (
    REMINDERS,
    next_reminder,
    request_stage,
    share_of_time,
)
from tests.clock import START

DAY = timedelta(days=1)
DEADLINE = START + 30 * DAY


@pytest.mark.parametrize(
    "passed, stage",
    [
        (timedelta(0), RequestStage.ON_TIME),
        (7 * DAY - timedelta(seconds=1), RequestStage.ON_TIME),
        (7 * DAY, RequestStage.PAST_TARGET),
        (24 * DAY, RequestStage.DUE_SOON),
        (30 * DAY, RequestStage.OVERDUE),
        (300 * DAY, RequestStage.OVERDUE),
    ],
)
def test_the_stage_follows_the_time_gone(passed: timedelta, stage: RequestStage) -> None:
    assert request_stage(START, DEADLINE, START + passed, target=7 * DAY) is stage


def test_reminders_come_at_half_at_four_fifths_and_at_the_end() -> None:
    times, now = [], START
    while (reminder := next_reminder(START, DEADLINE, now)) is not None:
        times.append(reminder - START)
        now = reminder
    assert times == [15 * DAY, 24 * DAY, 30 * DAY]


@given(st.timedeltas(timedelta(0), 40 * DAY), st.timedeltas(timedelta(hours=1), 90 * DAY))
def test_a_reminder_lies_ahead_and_none_is_skipped(passed: timedelta, length: timedelta) -> None:
    now, deadline = START + passed, START + length
    found = next_reminder(START, deadline, now)
    ahead = [t for share in REMINDERS if (t := share_of_time(START, deadline, share)) > now]
    assert found == min(ahead, default=None)
