"""What is the matter with a destination."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from preference_center.destinations.rules.states import Condition, DestinationStatus, find_condition
from tests.clock import START

_LATER, _BEFORE = START + timedelta(minutes=5), START - timedelta(minutes=5)
_ACTIVE, _PAUSED, _OBSERVE = (
    DestinationStatus.ACTIVE,
    DestinationStatus.PAUSED,
    DestinationStatus.OBSERVE,
)


@pytest.mark.parametrize(
    "status, retry_at, failures, expected",
    [
        (_OBSERVE, None, 0, Condition.OBSERVED),
        (_PAUSED, _LATER, 3, Condition.PAUSED),
        (_ACTIVE, _LATER, 0, Condition.RATE_LIMITED),
        (_ACTIVE, _LATER, 1, Condition.FAILED),
        (_ACTIVE, _BEFORE, 1, Condition.TRIED_AGAIN),
        (_ACTIVE, None, 1, Condition.WELL),
    ],
)
def test_the_circuit_decides(
    status: DestinationStatus, retry_at: datetime | None, failures: int, expected: Condition
) -> None:
    assert find_condition(status, retry_at, failures, START) is expected


def test_a_running_one_may_fail_to_be_read_or_have_drifted() -> None:
    found = find_condition(_ACTIVE, None, 0, START, has_drift=True)
    assert found is Condition.DRIFTED
    found = find_condition(_ACTIVE, None, 0, START, reads_fail=True, has_drift=True)
    assert found is Condition.NOT_READABLE
    found = find_condition(_ACTIVE, _LATER, 1, START, reads_fail=True, has_drift=True)
    assert found is Condition.FAILED
