"""Samples over time: made once, thinned after a week, forgotten after 90 days."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from preference_center.destinations.store import samples
from preference_center.destinations.store.samples import Sample
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.monitoring.measure import record_samples
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change

pytestmark = pytest.mark.usefixtures("in_context")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def deliver(destination: int, outcome: str, at: datetime) -> None:
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
            VALUES (%s, 1, 1, %s, '', %s)""",
            (destination, outcome, at),
        )
    )


def insert(destination: int, at: datetime, pending: int, pushed: int) -> None:
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO destination_sample VALUES (%s, %s, %s, %s, %s, 0)""",
            (destination, at, pending, at - HOUR, pushed),
        )
    )


def found(
    since: datetime, until: datetime, step: timedelta, number: int | None = None
) -> list[Sample]:
    return list(run_in_transaction(lambda c: samples.list_samples(c, since, until, step, number)))


def test_a_sample_has_what_waits_and_what_was_delivered_before(clock: Clock) -> None:
    number = add_destination("mailer", NEWS)
    record([change(1, at=clock() - HOUR)])
    for minutes, outcome in ((1, "reflected"), (2, "absent"), (3, "refused"), (6, "reflected")):
        deliver(number, outcome, clock() - minutes * MINUTE)
    deliver(number, "reflected", clock())  # of the next sample
    clock.advance(timedelta(seconds=30))
    assert record_samples(clock())
    assert not record_samples(clock())
    (sample,) = found(START - HOUR, START, HOUR)
    assert sample == Sample(START, 1, HOUR, 2, 1)


def test_a_sample_waits_until_deliveries_are_committed(clock: Clock) -> None:
    assert samples.sample_time(START) == START - 5 * MINUTE
    assert samples.sample_time(START + samples.DELAY) == START


def test_steps_of_all_destinations_are_added_up_and_those_of_one_are_its_own() -> None:
    for number in (1, 2):
        insert(number, START, pending=number, pushed=10)
        insert(number, START - 5 * MINUTE, pending=5, pushed=10)
    (all_of_them,) = found(START - HOUR, START, HOUR)
    assert all_of_them == Sample(START, 10, HOUR, 40, 0)
    (own,) = found(START - HOUR, START, HOUR, 1)
    assert own == Sample(START, 5, HOUR, 20, 0)
    assert found(START - 3 * HOUR, START - HOUR, HOUR) == []


def test_old_samples_are_merged_into_one_an_hour() -> None:
    old = START - 9 * DAY
    for minutes in (0, 5, 10, 55, 60):
        insert(1, old + minutes * MINUTE, pending=minutes, pushed=1)
    insert(1, START, pending=7, pushed=1)
    for _ in range(2):
        run_in_transaction(lambda c: samples.thin_samples(c, START))
        kept = run_in_transaction(
            lambda c: c.execute(
                "SELECT at, pending, pushed FROM destination_sample ORDER BY at"
            ).fetchall()
        )
        assert kept == [(old, 0, 1), (old + HOUR, 60, 4), (START, 7, 1)]


def test_samples_are_forgotten_after_90_days() -> None:
    insert(1, START - 91 * DAY, pending=1, pushed=1)
    insert(1, START - 89 * DAY, pending=1, pushed=1)
    run_in_transaction(lambda c: samples.thin_samples(c, START))
    assert len(found(START - 100 * DAY, START, 10 * DAY)) == 1
