"""`flask retention`, as compliance uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from preference_center.core.events import ALL_MARKETING
from preference_center.ledger import record
from preference_center.rights.retention import run_retention
from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import change

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

RULE = '\n[retention.suppressed_addresses]\ndays = 30\nground = "two years are enough"\n'


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["retention", *words])


def test_it_names_what_is_kept_for_ever_and_where_to_write_a_rule(app: Flask) -> None:
    put_in_force(app, CATALOGUE + RULE)
    result = flask(app, "plan")
    assert result.exit_code == 0
    kept = "evidence, deliveries, closed_accounts, audit"
    assert f"kept for ever: {kept}. See docs/catalogue.md" in result.stderr


def test_a_plan_shows_what_a_run_removes(app: Flask, clock: Clock) -> None:  # I12
    put_in_force(app, CATALOGUE + RULE)
    with app.app_context():
        record([change(1, scope=ALL_MARKETING)])
    clock.advance(timedelta(days=40))

    plan = flask(app, "plan", "--list")

    assert plan.exit_code == 0
    line, owner, _of_cookies = plan.stdout.splitlines()
    assert line == "suppressed_addresses\t1\t2026-12-04\ttwo years are enough"
    assert owner == "    j***@e***.org"
    assert "suppressed_addresses: looked at 5,000 rows" in plan.stderr
    with app.app_context():
        assert run_retention(clock()) == 1
    assert flask(app, "plan").stdout.startswith("suppressed_addresses\t0\t")
