"""When something is an alert: at its limit, and not just before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from preference_center.core.deadlines import DeadlineStage, RequestStage
from preference_center.destinations.rules.promise import (
    DestinationMeasurement,
    Disk,
    Folder,
    HostMeasurements,
    Measurements,
    QueueMeasurement,
    QueueProblem,
    SpoolMeasurement,
)
from preference_center.destinations.rules.states import DRIFT_LASTS
from preference_center.monitoring.rules.conditions import (
    COMPANY_WEBHOOKS_FAIL_AFTER,
    CONDITIONS,
    DATABASE_AWAY_AFTER,
    EMAIL_STUCK_AFTER,
    FEED_HELD_AFTER,
    HOLDS_FOR,
    HOUSEKEEPING_MISSING_AFTER,
    MAX_CLOCK_OFFSET,
    MAX_REFUSED_SHARE,
    PUBLISHER_BEHIND_AFTER,
    ROTATION_UNFINISHED_AFTER,
    SPOOL_WAITING_AFTER,
    TICK_MISSING_AFTER,
    WAITING_AFTER,
    HoldTimer,
    Observation,
    find_alerts,
)
from preference_center.monitoring.rules.notices import (
    MESSAGES,
    Alert,
    AlertKind,
    Notice,
)
from tests.clock import START

WELL = Observation(START, Measurements(START), ticked_at=START)
MOMENT = timedelta(microseconds=1)


def measured(**given: Any) -> Observation:
    return replace(WELL, measured=replace(Measurements(START), **given))


def crm(state: str, waited: timedelta, **given: Any) -> Observation:
    each = DestinationMeasurement("crm", state, 1, START - waited)
    return measured(destinations=[replace(each, **given)])


def away(since: datetime) -> Observation:
    return Observation(START, None, database_away_since=since)


AGES: dict[AlertKind, tuple[timedelta, Callable[[timedelta], Observation]]] = {
    AlertKind.DATABASE_UNAVAILABLE: (DATABASE_AWAY_AFTER, lambda age: away(START - age)),
    AlertKind.SCHEDULER_SILENT: (
        TICK_MISSING_AFTER,
        lambda age: replace(WELL, ticked_at=START - age),
    ),
    AlertKind.HOUSEKEEPING_FAILS: (
        HOUSEKEEPING_MISSING_AFTER,
        lambda age: replace(WELL, housekept_at=START - age),
    ),
    AlertKind.FEED_HELD: (
        FEED_HELD_AFTER,
        lambda age: measured(feed_held_since=START - age),
    ),
    AlertKind.EMAIL_STUCK: (
        EMAIL_STUCK_AFTER,
        lambda age: measured(oldest_email_created_at=START - age),
    ),
    AlertKind.COMPANY_WEBHOOKS_FAIL: (
        COMPANY_WEBHOOKS_FAIL_AFTER,
        lambda age: measured(company_webhooks_failing_since=START - age),
    ),
    AlertKind.KEY_ROTATION_UNFINISHED: (
        ROTATION_UNFINISHED_AFTER,
        lambda age: measured(rotation_started_at=START - age),
    ),
}


@pytest.mark.parametrize("kind", AGES)
def test_an_age_is_an_alert_from_its_limit_on(kind: AlertKind) -> None:
    limit, observe = AGES[kind]
    assert find_alerts(observe(limit - MOMENT)) == frozenset()
    assert find_alerts(observe(limit)) == {Alert(kind)}


@pytest.mark.parametrize("refused, late", [(10, set()), (11, {AlertKind.WORK_LATE})])
def test_a_tool_that_refuses_more_than_single_addresses_is_late(
    refused: int, late: set[AlertKind]
) -> None:  # I3
    stage = {DeadlineStage.PAST_TARGET: refused}
    crm = DestinationMeasurement(
        "crm", "active", refused=refused, refused_new=1, late=stage, late_refused=stage
    )
    kinds = {each.kind for each in find_alerts(measured(destinations=[crm]))}
    assert kinds == {AlertKind.ADDRESSES_REFUSED} | late


def test_emails_are_an_alert_once_more_than_half_are_refused() -> None:
    assert not find_alerts(measured(emails_refused_share=MAX_REFUSED_SHARE))
    found = find_alerts(measured(emails_refused_share=MAX_REFUSED_SHARE + 0.05))
    assert found == {Alert(AlertKind.EMAIL_STUCK)}


@pytest.mark.parametrize("problem", QueueProblem)
def test_redis_that_takes_no_jobs_is_an_alert(problem: QueueProblem) -> None:  # I3
    found = find_alerts(replace(WELL, queue=QueueMeasurement(problem)))
    assert found == {Alert(AlertKind.REDIS_UNUSABLE, problem)}


def test_a_queue_without_a_worker_is_an_alert_and_all_of_them_are_one() -> None:  # I3
    def found(**workers: int) -> frozenset[Alert]:
        return find_alerts(replace(WELL, queue=QueueMeasurement(workers=workers)))

    assert found(fresh=1, sync=2) == frozenset()
    assert found(fresh=1, sync=0) == {Alert(AlertKind.NO_WORKER, "sync")}
    assert found(fresh=0, sync=0) == {Alert(AlertKind.NO_WORKER)}


@pytest.mark.parametrize("state", ["active", "observe", "broken", "paused"])
def test_opt_outs_that_wait_are_an_alert_whatever_the_state(state: str) -> None:  # I3
    assert not find_alerts(crm(state, WAITING_AFTER - MOMENT))
    assert find_alerts(crm(state, WAITING_AFTER)) == {Alert(AlertKind.OPT_OUTS_WAIT, "crm")}


def test_what_must_hold_for_a_time_is_an_alert_after_it_and_again_after_a_break() -> None:
    waits, late = Alert(AlertKind.OPT_OUTS_WAIT, "crm"), Alert(AlertKind.WORK_LATE, "crm")
    length = HOLDS_FOR[AlertKind.OPT_OUTS_WAIT]
    timer, at = HoldTimer(), START
    for _ in range(2):
        assert timer.select_persisting(frozenset({waits, late}), at) == {late}
        assert timer.select_persisting(frozenset({waits}), at + length - MOMENT) == frozenset()
        assert timer.select_persisting(frozenset({waits}), at + length) == {waits}
        at += 2 * length
        assert timer.select_persisting(frozenset(), at) == frozenset()


def test_a_publisher_of_the_feed_is_an_alert_once_an_event_has_waited() -> None:
    behind = {"topic": START - PUBLISHER_BEHIND_AFTER, "other": START - timedelta(minutes=1)}
    assert find_alerts(measured(publishers=behind | {"idle": None})) == {
        Alert(AlertKind.FEED_PUBLISHER_BEHIND, "topic")
    }
    assert not find_alerts(measured(publishers={"topic": behind["topic"] + MOMENT}))


def test_drift_that_repeats_is_an_alert_until_it_has_not_for_two_days() -> None:
    def found(ago: timedelta) -> frozenset[Alert]:
        given = {"oldest_received_at": None, "drift_repeated_at": START - ago}
        return find_alerts(crm("active", timedelta(), **given))

    assert found(DRIFT_LASTS - MOMENT) == {Alert(AlertKind.DRIFT_REPEATS, "crm")}
    assert found(DRIFT_LASTS) == frozenset()


def test_a_tool_that_knows_one_of_the_newest_addresses_is_none() -> None:
    well = {"pending": 0, "oldest_received_at": None}
    assert not find_alerts(crm("active", timedelta(), absent_share=0.99, **well))
    found = find_alerts(crm("active", timedelta(), absent_share=1.0, **well))
    assert found == {Alert(AlertKind.TOOL_KNOWS_NOBODY, "crm")}


def test_a_broken_destination_for_which_nothing_waits_is_none() -> None:
    assert not find_alerts(crm("broken", timedelta(), pending=0, oldest_received_at=None))


@pytest.mark.parametrize(
    "stage, kind",
    [
        (DeadlineStage.AT_RISK, AlertKind.WORK_AT_RISK),
        (DeadlineStage.PAST_TARGET, AlertKind.WORK_LATE),
        (DeadlineStage.OVERDUE, AlertKind.WORK_LATE),
    ],
)
def test_waiting_work_is_an_alert_by_its_stage(stage: DeadlineStage, kind: AlertKind) -> None:
    late = crm("active", timedelta(hours=40), late={stage: 3})
    assert find_alerts(late) == {Alert(kind, "crm"), Alert(AlertKind.OPT_OUTS_WAIT, "crm")}
    assert find_alerts(measured(backlog={("webhook", stage): 1})) == {Alert(kind, "webhook")}


@pytest.mark.parametrize(
    "stage, kind",
    [
        (RequestStage.DUE_SOON, AlertKind.RIGHTS_DUE_SOON),
        (RequestStage.OVERDUE, AlertKind.RIGHTS_OVERDUE),
    ],
)
def test_a_late_request_of_a_person_is_an_alert(stage: RequestStage, kind: AlertKind) -> None:
    assert find_alerts(measured(rights={stage: 1})) == {Alert(kind)}
    assert not find_alerts(measured(rights={RequestStage.ON_TIME: 9, stage: 0}))


def test_a_journal_that_lacks_erasures_is_an_alert() -> None:
    found = find_alerts(measured(erasures_not_in_journal=1))
    assert found == {Alert(AlertKind.ERASURES_NOT_IN_JOURNAL)}


def test_a_database_that_lacks_erasures_of_the_journal_is_an_alert() -> None:  # I6
    found = find_alerts(measured(is_journal_closed=True))
    assert found == {Alert(AlertKind.ERASURE_JOURNAL_CLOSED)}


def test_a_database_that_lacks_events_which_it_had_is_an_alert() -> None:  # I1
    assert find_alerts(measured(is_history_lost=True)) == {Alert(AlertKind.HISTORY_LOST)}


@pytest.mark.parametrize("direction", [1, -1])
def test_a_clock_that_differs_is_an_alert_of_its_host(direction: int) -> None:
    def found(offset: timedelta) -> frozenset[Alert]:
        host = HostMeasurements("web-1", clock_offset=direction * offset)
        return find_alerts(replace(WELL, host=host))

    assert found(MAX_CLOCK_OFFSET) == frozenset()
    assert found(MAX_CLOCK_OFFSET + MOMENT) == {Alert(AlertKind.CLOCK_DIFFERS, "web-1")}


def test_a_disk_with_less_than_a_tenth_is_an_alert() -> None:
    disks = {Folder.SPOOL: Disk(9, 100), Folder.TEMPORARY: Disk(10, 100)}
    found = find_alerts(replace(WELL, host=HostMeasurements("web-1", disks)))
    assert found == {Alert(AlertKind.DISK_NEARLY_FULL, "spool of web-1")}


def spooled(**given: Any) -> frozenset[Alert]:
    spool = SpoolMeasurement(**given)
    return find_alerts(replace(WELL, host=HostMeasurements("web-1", spool=spool)))


@pytest.mark.parametrize(
    "given, kind",
    [
        ({"oldest_received_at": START - SPOOL_WAITING_AFTER}, AlertKind.SPOOL_NOT_EMPTY),
        ({"rejected_files": 1}, AlertKind.SPOOL_REJECTED),
        ({"unreadable_files": 1}, AlertKind.SPOOL_REJECTED),
        ({"damaged_files": 1}, AlertKind.SPOOL_DAMAGED),
        ({"is_writable": False}, AlertKind.SPOOL_NOT_WRITABLE),
    ],
)
def test_what_a_spool_keeps_from_being_recorded_is_an_alert_of_its_host(
    given: dict[str, Any], kind: AlertKind
) -> None:  # I1, I3
    assert spooled(**given) == {Alert(kind, "web-1")}


def test_a_spool_that_is_replayed_is_none() -> None:
    assert not spooled(oldest_received_at=START - SPOOL_WAITING_AFTER + MOMENT)
    assert not spooled()


def test_without_the_database_only_what_is_known_is_an_alert() -> None:
    seen = replace(away(START - DATABASE_AWAY_AFTER), ticked_at=START - timedelta(days=1))
    assert find_alerts(seen) == {Alert(AlertKind.DATABASE_UNAVAILABLE)}


def test_all_is_well_without_alerts() -> None:
    assert find_alerts(WELL) == frozenset()


def test_every_kind_has_a_condition_and_a_message() -> None:
    assert CONDITIONS.keys() == MESSAGES.keys() == set(AlertKind)


def test_a_notice_says_what_and_since_when() -> None:
    alert = Alert(AlertKind.OPT_OUTS_WAIT, "crm")
    notice = Notice(alert, has_ended=False, at=START)
    assert notice.title == "opt_outs_wait: crm"
    assert notice.text == (
        "Opt-outs have waited for this destination for 15 minutes or more:"
        " `flask destinations show` says why."
        " Noticed at 2026-11-24 09:00 UTC."
    )
    ended = replace(notice, has_ended=True)
    assert ended.title == "ended: opt_outs_wait: crm"
    assert ended.text == "This has ended: opt_outs_wait: crm, at 2026-11-24 09:00 UTC."
