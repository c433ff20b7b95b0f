"""A slow tool gets one push at a time, and a worker that died holds nobody off for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.destinations.rules.plan import (
    MAX_CONCURRENT_PUSHES,
    MAX_PUSH_BLOCKING,
    SLOW_PUSH_DURATION,
    can_start_push,
)
from tests.clock import START

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "any"])
@pytest.mark.parametrize("slow", [True, False], ids=["slow", "quick"])
def test_nothing_under_way_holds_nobody_off(slow: bool, fresh: bool) -> None:  # noqa: FBT001 - a parameter
    assert can_start_push([], START, is_slow=slow, is_fresh_lane=fresh)


def test_a_quick_tool_gets_as_many_as_there_are_slots() -> None:
    young = [START - SECOND] * (MAX_CONCURRENT_PUSHES - 1)
    assert can_start_push(young, START, is_slow=False)
    assert not can_start_push([*young, START], START, is_slow=False)


@pytest.mark.parametrize(
    "slow, fresh",
    [pytest.param(True, False, id="slow"), pytest.param(False, True, id="fresh")],
)
def test_a_slow_tool_and_the_fresh_lane_get_one(slow: bool, fresh: bool) -> None:  # I3  # noqa: FBT001 - a parameter
    assert not can_start_push([START], START, is_slow=slow, is_fresh_lane=fresh)


def test_an_overdue_answer_holds_the_others_off() -> None:  # I3
    just_before = START - SLOW_PUSH_DURATION + timedelta(microseconds=1)
    assert can_start_push([just_before], START, is_slow=False)
    for others in ([], [START]):
        assert not can_start_push([START - SLOW_PUSH_DURATION, *others], START, is_slow=False)


def test_what_began_longer_ago_than_an_exchange_takes_holds_nobody_off() -> None:  # I3
    dead = START - MAX_PUSH_BLOCKING
    assert can_start_push([dead] * 9, START, is_slow=True)
    assert not can_start_push([dead + timedelta(microseconds=1)], START, is_slow=True)
