from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.processes import wait_until
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.feed import cursors
from tests.clock import START
from tests.environment import with_database
from tests.ledger.changes import change
from tests.ledger.feed.reader import writing_elsewhere

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


def flask(app: Flask, *words: str, answer: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=["feed", *words], input=answer)


@pytest.mark.owner  # or who may read all statistics
def test_status_names_what_holds_the_feed_back(app: Flask, database_url: str) -> None:
    with app.app_context():
        watermarks.ensure_epoch()
    with writing_elsewhere(with_database(database_url, "postgres")) as pid:
        with app.app_context():
            record([change(1)])

        def is_no_alarm() -> bool:
            result = flask(app, "status")
            assert f"pid {pid}\tpostgres\t" in result.output
            assert "\nevents waiting behind it: 1\n" in result.output
            return result.exit_code == 0  # not for a minute yet

        # The oldest may be another test's for a moment, of a role whose ages aren't shown.
        assert wait_until(is_no_alarm, 30)


def test_an_event_is_no_alarm_while_nothing_is_old(app: Flask) -> None:
    result = flask(app, "status")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("epoch ")


def test_a_new_epoch_is_begun_when_asked_twice_and_audited(app: Flask) -> None:
    with app.app_context():
        old = run_in_transaction(watermarks.load_watermark).epoch
    assert flask(app, "new-epoch", answer="n\n").exit_code == 1
    with app.app_context():
        assert run_in_transaction(watermarks.load_watermark).epoch == old
    result = flask(app, "new-epoch", "--yes")
    with app.app_context():
        new = run_in_transaction(watermarks.load_watermark).epoch
        audited = run_in_transaction(
            lambda c: c.execute("SELECT action, detail FROM audit").fetchall()
        )
    assert result.output == f"epoch {new} is in force\n"
    assert new != old
    assert audited == [("feed.new_epoch", {"epoch": new})]


def test_a_publisher_is_shown_and_can_begin_again(app: Flask) -> None:
    with app.app_context():
        at = run_in_transaction(watermarks.load_watermark)
        run_in_transaction(lambda c: cursors.move_cursor(c, "feed", None, at, START))
    assert f"feed\tpassed on up to {at} at 2026-" in flask(app, "status").output
    assert flask(app, "republish", "feed").exit_code == 0
    with app.app_context():
        assert run_in_transaction(lambda c: cursors.load_cursor(c, "feed")) is None
        (audited,) = run_in_transaction(lambda c: c.execute("SELECT detail FROM audit").fetchall())
    assert audited == ({"publisher": "feed"},)
    assert flask(app, "republish", "feed").exit_code == 1
