"""A slow tool gets one push at a time, and a worker that died holds nobody off for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.domain.sync.push_concurrency import COUNTS_FOR, SLOTS, SLOW, may_begin
from tests.clock import START

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "any"])
@pytest.mark.parametrize("slow", [True, False], ids=["slow", "quick"])
def test_nothing_under_way_holds_nobody_off(slow: bool, fresh: bool) -> None:  # noqa: FBT001
    assert may_begin([], START, slow=slow, fresh=fresh)


def test_a_quick_tool_gets_as_many_as_there_are_slots() -> None:
    young = [START - SECOND] * (SLOTS - 1)
    assert may_begin(young, START, slow=False)
    assert not may_begin([*young, START], START, slow=False)


@pytest.mark.parametrize(
    "slow, fresh",
    [pytest.param(True, False, id="slow"), pytest.param(False, True, id="fresh")],
)
def test_a_slow_tool_and_the_fresh_lane_get_one(slow: bool, fresh: bool) -> None:  # I3  # noqa: FBT001
    assert not may_begin([START], START, slow=slow, fresh=fresh)


def test_an_overdue_answer_holds_the_others_off() -> None:  # I3
    just_before = START - SLOW + timedelta(microseconds=1)
    assert may_begin([just_before], START, slow=False)
    assert not may_begin([START - SLOW], START, slow=False)


def test_what_began_longer_ago_than_an_exchange_takes_holds_nobody_off() -> None:  # I3
    dead = START - COUNTS_FOR
    assert may_begin([dead] * 9, START, slow=True)
    assert not may_begin([dead + timedelta(microseconds=1)], START, slow=True)
