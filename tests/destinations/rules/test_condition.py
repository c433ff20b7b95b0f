"""What is the matter with a destination."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from datetime import datetime, timedelta

import pytest

from preference_center.core.events import SHARING
from preference_center.destinations.rules.states import (
    SLOWED_AT_MOST,
    Condition,
    DestinationStatus,
    Trouble,
    VerificationStats,
    find_condition,
    find_trouble,
    status_label,
)
from tests.clock import START
from tests.core.histories import NEWS
from tests.destinations.rules.reports import DESTINATION

_LATER, _BEFORE = START + timedelta(minutes=5), START - timedelta(minutes=5)
_ACTIVE, _PAUSED, _OBSERVE = (
    DestinationStatus.ACTIVE,
    DestinationStatus.PAUSED,
    DestinationStatus.OBSERVE,
)


@pytest.mark.parametrize(
    "status, retry_at, trouble, expected",
    [
        (_OBSERVE, None, None, Condition.OBSERVED),
        (_PAUSED, _LATER, Trouble.FAILING, Condition.PAUSED),
        (_ACTIVE, _LATER, Trouble.SLOWED, Condition.RATE_LIMITED),
        (_ACTIVE, _BEFORE, Trouble.SLOWED, Condition.RATE_LIMITED),
        (_ACTIVE, _LATER, Trouble.FAILING, Condition.FAILED),
        (_ACTIVE, _LATER, Trouble.REFUSED, Condition.FAILED),
        (_ACTIVE, _BEFORE, Trouble.FAILING, Condition.TRIED_AGAIN),
        (_ACTIVE, None, None, Condition.WELL),
    ],
)
def test_the_circuit_decides(
    status: DestinationStatus,
    retry_at: datetime | None,
    trouble: Trouble | None,
    expected: Condition,
) -> None:
    assert find_condition(status, retry_at, trouble, START) is expected


def test_a_running_one_may_fail_to_be_read_or_have_drifted() -> None:
    found = find_condition(_ACTIVE, None, None, START, has_drift=True)
    assert found is Condition.DRIFTED
    found = find_condition(_ACTIVE, None, None, START, reads_fail=True, has_drift=True)
    assert found is Condition.NOT_READABLE
    found = find_condition(_ACTIVE, None, None, START, reads_fail=True, drift_repeats=True)
    assert found is Condition.DRIFT_REPEATS
    found = find_condition(_ACTIVE, _LATER, Trouble.FAILING, START, reads_fail=True, has_drift=True)
    assert found is Condition.FAILED


def test_an_open_circuit_is_tried_from_its_time_on() -> None:
    assert find_condition(_ACTIVE, START, Trouble.FAILING, START) is Condition.TRIED_AGAIN
    assert find_condition(_ACTIVE, None, None, START) is Condition.WELL


@pytest.mark.parametrize(
    "status, trouble, label",
    [
        (_ACTIVE, None, "active"),
        (_ACTIVE, Trouble.FAILING, "broken"),
        (_ACTIVE, Trouble.REFUSED, "broken"),
        (_ACTIVE, Trouble.SLOWED, "slowed"),
        (_PAUSED, Trouble.FAILING, "paused"),
        (_OBSERVE, Trouble.SLOWED, "observe"),
    ],
)
def test_an_active_one_in_trouble_is_slowed_or_broken(
    status: DestinationStatus, trouble: Trouble | None, label: str
) -> None:
    assert status_label(status, trouble) == label


def test_what_a_version_of_before_left_is_taken_for_a_failure() -> None:
    assert find_trouble(_LATER, None) is Trouble.FAILING
    assert find_trouble(None, Trouble.SLOWED) is None


@pytest.mark.parametrize(
    "status, retry_at, expected",
    [
        (_ACTIVE, None, True),
        (_ACTIVE, _BEFORE, True),
        (_ACTIVE, START, True),
        (_ACTIVE, _LATER, False),
        (_PAUSED, None, False),
        (_OBSERVE, None, False),
    ],
)
def test_only_an_active_one_whose_circuit_is_closed_is_sent_requests(
    status: DestinationStatus, retry_at: datetime | None, *, expected: bool
) -> None:
    assert replace(DESTINATION, status=status, retry_at=retry_at).allows_requests(START) is expected


def test_it_is_slow_until_a_time() -> None:
    assert not DESTINATION.is_slow(START)
    assert replace(DESTINATION, slow_until=_LATER).is_slow(START)
    assert not replace(DESTINATION, slow_until=START).is_slow(START)


@pytest.mark.parametrize(
    "trouble, since, expected",
    [
        (None, None, START),
        (None, _BEFORE, START),
        (Trouble.SLOWED, _BEFORE, _BEFORE),
        (Trouble.SLOWED, None, None),
        (Trouble.SLOWED, START - SLOWED_AT_MOST, None),
        (Trouble.FAILING, _BEFORE, None),
        (Trouble.REFUSED, _BEFORE, None),
    ],
)
def test_a_tool_that_takes_no_requests_is_slow_for_a_while_and_then_broken(
    trouble: Trouble | None, since: datetime | None, expected: datetime | None
) -> None:
    destination = replace(DESTINATION, trouble=trouble, trouble_since=since)
    assert destination.slowed_since(START) == expected


def test_sharing_is_no_topic() -> None:  # I10
    sharing = replace(DESTINATION, sends=frozenset({NEWS, SHARING}))
    assert (sharing.topics, sharing.shares) == (frozenset({NEWS}), True)
    assert not DESTINATION.shares


def test_stats_add_up_each_by_itself() -> None:
    count = len(fields(VerificationStats))
    assert astuple(VerificationStats()) == (0,) * count
    one = VerificationStats(*range(1, count + 1))
    assert astuple(one + VerificationStats(*[10] * count)) == tuple(range(11, count + 11))
