"""Times to reflect are counted with the push that settles them: once, and by nobody else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from preference_center.core.deadlines import TARGET, WINDOW
from preference_center.core.events import EventKind
from preference_center.destinations.claim import ClaimRequest, claim_batch
from preference_center.destinations.push import settle_batch
from preference_center.destinations.rules.promise import BucketCount, ReflectionTimes
from preference_center.destinations.rules.states import LANE_BEGINNING
from preference_center.destinations.store import deliveries, destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushOutcome, PushResult
from tests.clock import START, Clock
from tests.destinations.steps import ANNA, BO, say, work
from tests.destinations.tool import Tool

DAY = START.date()


def times(first: date = DAY, last: date = DAY) -> list[ReflectionTimes]:
    return run_in_transaction(lambda c: deliveries.list_reflection_times(c, first, last))


def test_a_push_adds_how_long_each_opt_out_took(destination: int, tool: Tool, clock: Clock) -> None:
    say(EventKind.OPTED_OUT, ANNA)
    clock.advance(timedelta(seconds=20))
    say(EventKind.OPTED_OUT, BO)
    clock.advance(timedelta(seconds=5))
    work(destination, tool)
    (found,) = times()
    assert found.destination == "mailer"
    assert found.buckets == {
        0: BucketCount(1, timedelta(seconds=5)),
        1: BucketCount(1, timedelta(seconds=25)),
    }
    work(destination, tool)
    assert times() == [found]


def test_what_was_late_is_counted_as_late(destination: int, tool: Tool, clock: Clock) -> None:
    say(EventKind.OPTED_OUT)
    clock.advance(timedelta(hours=80))
    work(destination, tool)
    (found,) = times(DAY, DAY + timedelta(days=9))
    assert (found.count, found.count_from(TARGET), found.count_from(WINDOW)) == (1, 1, 1)
    assert found.longest == timedelta(hours=80)
    assert times(DAY, DAY) == []  # it counts on the day it was reflected


def test_a_lift_counts_for_nothing(destination: int, tool: Tool, clock: Clock) -> None:
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)
    work(destination, tool)
    (found,) = times()
    assert found.count == 1


def test_a_day_ends_at_midnight_utc(destination: int, tool: Tool, clock: Clock) -> None:
    clock.advance(datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC) - clock())
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(seconds=1))
    say(EventKind.OPTED_OUT, BO)
    work(destination, tool)
    for day in (date(2026, 11, 29), date(2026, 11, 30)):
        (found,) = times(day, day)
        assert found.count == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_worker_that_lost_its_lease_adds_nothing(
    destination: int, tool: Tool, clock: Clock, *, lost: bool
) -> None:
    say(EventKind.OPTED_OUT)
    keys, lease, ends = services().keys, uuid4(), clock() + timedelta(minutes=5)
    target = run_in_transaction(lambda c: destinations.find_by_id(c, keys, destination))
    assert target
    connector = tool.connect(target, lambda: True)
    request = ClaimRequest(
        target, connector.capabilities, lease, clock(), ends, LANE_BEGINNING, fresh=False
    )
    batch = run_in_transaction(lambda c: claim_batch(c, request))
    if lost:
        run_in_transaction(lambda c: c.execute("UPDATE sync_state SET lease = NULL"))
    outcomes = {ref: PushOutcome(PushResult.REFLECTED) for ref in batch.claims}
    settle_batch(target, connector.capabilities, batch, outcomes)
    assert sum(found.count for found in times()) == (0 if lost else 1)
