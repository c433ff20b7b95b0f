"""The time of a process is that of the database, whatever the clock of its host shows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from structlog.testing import capture_logs

from preference_center.app.web import create_app
from preference_center.infra.context import db, services
from preference_center.infra.db.clock import DatabaseClock
from preference_center.infra.db.transactions import run_in_transaction

if TYPE_CHECKING:
    from preference_center.infra.config import Settings

WRONG_BY = [timedelta(seconds=20), timedelta(days=-40)]
NEAR = timedelta(seconds=10)
"""More than a look at the server takes, however busy the machine is."""


class Host:
    """A host whose clock shows another time."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead.total_seconds()

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.mark.parametrize("ahead", WRONG_BY, ids=str)
def test_a_process_goes_by_the_time_of_the_database(
    settings: Settings, ahead: timedelta
) -> None:  # I3, I5: else its own acts would outweigh, or lose against, those of others
    app = create_app(settings, now=DatabaseClock(Host(ahead)))
    with app.app_context():
        assert abs(services().now() - datetime.now(UTC) - ahead) < NEAR
        with capture_logs() as logs:
            run_in_transaction(lambda _: None)
        assert abs(services().now() - datetime.now(UTC)) < NEAR
        db.engine.dispose()
    (log,) = [entry for entry in logs if entry["event"] == "host_clock_differs"]
    assert abs(timedelta(seconds=log["ahead_seconds"]) - ahead) < NEAR


def test_nobody_who_sets_the_clock_of_the_host_changes_the_time() -> None:
    host = Host(timedelta())
    clock = DatabaseClock(host)
    host.ahead = 7200
    assert abs(clock() - datetime.now(UTC)) < NEAR
    assert abs(clock.offset - host.ahead) < NEAR.total_seconds()


def test_a_difference_that_the_way_to_the_server_explains_moves_nothing(
    database_url: str,
) -> None:
    passed = iter([0.0, 100.0, 130.0, 130.0])  # the answer came after 30 seconds
    clock = DatabaseClock(lambda: time.time() - 95, lambda: next(passed))
    with psycopg.connect(database_url) as connection:
        clock.look(connection)
    assert abs(clock() - datetime.now(UTC) - timedelta(seconds=35)) < NEAR
