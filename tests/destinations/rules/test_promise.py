"""Whether the promise is kept, from what was measured (I3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.core.deadlines import DeadlineStage
from preference_center.destinations.rules.promise import (
    DestinationMeasurement,
    Measurements,
    SpoolMeasurement,
    evaluate_promise,
    sort_worst_first,
    window_share,
)
from tests.clock import START


def waiting(name: str, hours: float | None, state: str = "active") -> DestinationMeasurement:
    since = None if hours is None else START - timedelta(hours=hours)
    late = {DeadlineStage.AT_RISK: 1} if hours and hours >= 36 else {}
    return DestinationMeasurement(name, state, 0 if hours is None else 2, since, late)


def test_nothing_waits() -> None:
    promise = evaluate_promise(Measurements(START, [waiting("mailer", None)]))
    assert promise.stage is DeadlineStage.ON_TIME
    assert promise.oldest_received_at is None
    assert promise.pending == 0


def test_the_oldest_of_all_destinations_and_of_the_spool_counts() -> None:
    measured = Measurements(START, [waiting("a", 1), waiting("b", 3)])
    assert evaluate_promise(measured).oldest_received_at == START - timedelta(hours=3)
    assert evaluate_promise(measured).pending == 4
    spooled = evaluate_promise(measured, START - timedelta(hours=40))
    assert spooled.oldest_received_at == START - timedelta(hours=40)
    assert spooled.stage is DeadlineStage.AT_RISK
    assert spooled.late_destinations == []


def test_what_nobody_has_decided_counts_too() -> None:
    backlog = {("vendor_event", DeadlineStage.OVERDUE): 1, ("webhook", DeadlineStage.AT_RISK): 1}
    promise = evaluate_promise(Measurements(START, [waiting("a", 37)], backlog))
    assert promise.stage is DeadlineStage.OVERDUE
    assert promise.late_destinations == ["a"]
    assert promise.has_late_backlog


def test_the_worst_comes_first() -> None:
    found = [
        waiting("idle", None),
        waiting("seen", None, "observe"),
        waiting("fresh", 1),
        waiting("old", 5),
        waiting("failing", None, "broken"),
    ]
    names = [each.name for each in sort_worst_first(found)]
    assert names == ["old", "fresh", "failing", "seen", "idle"]


@pytest.mark.parametrize("hours, share", [(None, 0), (-1, 0), (36, 0.5), (72, 1), (99, 1)])
def test_the_share_of_the_window(hours: float | None, share: float) -> None:
    since = None if hours is None else START - timedelta(hours=hours)
    assert window_share(since, START) == share


def test_of_equal_ones_the_name_decides_and_an_unknown_state_is_the_worst() -> None:
    found = [
        waiting("b", None),
        waiting("a", None),
        waiting("p", None, "paused"),
        waiting("o", None, "observe"),
        waiting("x", None, "broken"),
        waiting("u", None, "of tomorrow"),
    ]
    assert [each.name for each in sort_worst_first(found)] == ["u", "x", "p", "o", "a", "b"]


def test_stages_of_destinations_and_of_the_backlog_count_whatever_waits() -> None:
    late = DestinationMeasurement("mailer", "active", late={DeadlineStage.PAST_TARGET: 1})
    promise = evaluate_promise(Measurements(START, [late]))
    assert promise.stage is DeadlineStage.PAST_TARGET
    assert promise.late_destinations == ["mailer"]
    assert not promise.has_late_backlog
    none = DestinationMeasurement("mailer", "active", late={DeadlineStage.PAST_TARGET: 0})
    assert evaluate_promise(Measurements(START, [none])).late_destinations == []


def test_what_is_not_said_is_nothing() -> None:
    assert DestinationMeasurement("mailer", "active").pending == 0
    measured = Measurements(START)
    assert (measured.rights_webhooks_due, measured.emails_due) == (0, 0)
    assert (measured.erasures_by_hand, measured.erasures_not_in_journal) == (0, 0)
    spool = SpoolMeasurement()
    assert (spool.damaged_files, spool.rejected_files, spool.unreadable_files) == (0, 0, 0)
    assert spool.is_writable


def test_the_destination_that_has_waited_longest_comes_first_to_the_second() -> None:
    found = [waiting("b", 1), waiting("a", 1 + 1 / 3600), waiting("c", 1)]
    assert [each.name for each in sort_worst_first(found)] == ["a", "b", "c"]
