"""A feed at a standstill is seen by /healthz, a gauge and an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.feed.cursors import load_held_since
from preference_center.monitoring.gauges import database_gauges
from preference_center.monitoring.measure import measure_database
from preference_center.monitoring.rules.conditions import FEED_HELD_AFTER, Observation, find_alerts
from preference_center.monitoring.rules.notices import Alert, AlertKind
from tests.clock import Clock
from tests.environment import with_database
from tests.ledger.changes import change
from tests.ledger.feed.reader import writing_elsewhere

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("in_context")


def test_a_transaction_in_another_database_that_holds_the_feed_is_told_of(
    client: FlaskClient, clock: Clock, database_url: str
) -> None:
    watermarks.ensure_epoch()
    with writing_elsewhere(with_database(database_url, "postgres")):
        record([change(1, at=clock())])
        measured = measure_database(clock())
        assert measured.feed_held_since is not None
        held_since = clock() - FEED_HELD_AFTER  # the server's clock tells how old a transaction is
        measured = replace(measured, feed_held_since=held_since)
        gauges = {gauge.name: gauge for gauge in database_gauges(measured)}
        (sample,) = gauges["preference_center_feed_held_seconds"].samples
        assert timedelta(seconds=sample.value) == FEED_HELD_AFTER
        assert find_alerts(Observation(clock(), measured)) == {Alert(AlertKind.FEED_HELD)}
        answer = client.get("/healthz")
        assert answer.json
        assert answer.json["feed_held_since"]


def test_the_age_is_that_of_the_transaction_and_not_of_what_waits(
    clock: Clock, database_url: str
) -> None:
    """Any transaction of the server holds the feed for a moment, even what is a day old."""
    watermarks.ensure_epoch()
    with writing_elsewhere(with_database(database_url, "postgres")):
        record([change(1, at=clock())])
        clock.advance(timedelta(days=1))
        found = run_in_transaction(load_held_since)
        assert found is not None
        assert clock() - found < timedelta(hours=1)


def test_events_that_readers_can_see_hold_nothing(clock: Clock) -> None:
    watermarks.ensure_epoch()
    assert run_in_transaction(load_held_since) is None
