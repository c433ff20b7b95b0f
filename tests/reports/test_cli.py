"""`flask reports`."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.db.transactions import run_in_transaction, transaction
from preference_center.ledger import record
from preference_center.reports import store as reports_store
from preference_center.reports.store import count_new_events
from tests.clock import Clock
from tests.infra.cli.fixtures import _staff_name
from tests.ledger.changes import change

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


@pytest.fixture(autouse=True)
def history(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events on each of three days."""
    monkeypatch.setattr(reports_store, "CHUNK_SIZE", 4)
    for day in range(3):
        with app.app_context():
            record(
                [
                    change(
                        1 + 2 * day + n,
                        address=parse_address(f"{day}-{n}@example.com", Channel.EMAIL),
                        at=clock(),
                    )
                    for n in range(2)
                ]
            )
        clock.advance(timedelta(days=1))


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["reports", *arguments])


def count(app: Flask, clock: Clock) -> None:
    """What the scheduler does."""
    with app.app_context():
        count_new_events(clock())


def test_rebuild_shows_how_far_it_is(app: Flask) -> None:
    done = run(app, "rebuild", "--since", "2026-11-24")
    assert done.stdout == "6 events counted. Counts are complete from 2026-11-24 on.\n"
    assert done.stderr == (
        "4 events counted, up to 2026-11-25 09:00\n6 events counted, up to 2026-11-27 09:00\n"
    )


def test_rebuild_counts_from_a_day_on_and_is_in_the_audit(app: Flask, clock: Clock) -> None:
    count(app, clock)
    done = run(app, "rebuild", "--since", "2026-11-26")
    assert done.stdout == "2 events counted. Counts are complete from 2026-11-24 on.\n"
    with app.app_context():
        rows = run_in_transaction(
            lambda c: c.execute("SELECT action, detail FROM audit").fetchall()
        )
        total = run_in_transaction(
            lambda c: c.execute("SELECT sum(count) FROM daily_count").fetchone()
        )
    assert rows == [("reports.rebuilt", {"since": "2026-11-26"})]
    assert total == (6,)


def test_rebuild_of_the_newest_days_first_leaves_the_older_ones_out(app: Flask) -> None:
    done = run(app, "rebuild", "--since", "2026-11-26")
    assert done.stdout == "2 events counted. Counts are complete from 2026-11-26 on.\n"


@pytest.mark.parametrize("day, message", [("2027-01-01", "future"), ("yesterday", "format")])
def test_a_day_that_can_t_be_is_refused(app: Flask, day: str, message: str) -> None:
    done = run(app, "rebuild", "--since", day)
    assert done.exit_code != 0
    assert message in done.stderr


def test_while_another_process_counts_it_says_so(app: Flask) -> None:
    with app.app_context(), transaction() as other:
        other.execute("INSERT INTO daily_count_progress DEFAULT VALUES")
        other.commit()
        other.execute("SELECT FROM daily_count_progress FOR UPDATE")
        done = run(app, "rebuild", "--since", "2026-11-24")
    assert done.exit_code == 1
    assert "another process is counting" in done.stderr
