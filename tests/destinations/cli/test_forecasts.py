"""A tool that is too slow says when it is through, and for how many that is too late (I3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import Change, EventKind
from preference_center.core.staff import Role
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.clock import START, Clock
from tests.destinations.commands import flask
from tests.in_force import put_in_force
from tests.ledger.changes import add_destination
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

WAITING = 20


@pytest.fixture
def tool(app: Flask) -> int:
    """A destination for which 20 opt-outs wait, all received at START."""
    put_in_force(app)
    with app.app_context():
        number = add_destination("mailer", "acme.offers")
        run_in_transaction(lambda c: destinations.set_status(c, number, DestinationStatus.ACTIVE))
        record([_opt_out(each) for each in range(WAITING)])
    return number


def _opt_out(number: int) -> Change:
    person = parse_address(f"person-{number}@example.com", Channel.EMAIL)
    return Change(uuid4(), EventKind.OPTED_OUT, person, "acme.offers", START, START, "t", "t")


def push(app: Flask, tool: int, clock: Clock, count: int) -> None:
    """Deliver to others, over the last ten minutes."""
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
                SELECT %s, 1, 1, 'reflected', '', %s FROM generate_series(1, %s)""",
                (tool, clock() - timedelta(minutes=10), count),
            )
        )


def shown(app: Flask) -> str:
    output = flask(app, "destinations", "show", "mailer").output
    found = [line for line in output.splitlines() if line.startswith("forecast\t")]
    return found[0].partition("\t")[2] if found else ""


def test_there_is_none_while_opt_outs_wait_for_minutes_only(
    app: Flask, tool: int, clock: Clock
) -> None:
    clock.advance(timedelta(minutes=14))
    assert shown(app) == ""


def test_the_rate_says_when_it_is_through(app: Flask, tool: int, clock: Clock) -> None:
    clock.advance(timedelta(minutes=30))
    push(app, tool, clock, 5)  # ten an hour, so the twenty take two hours
    assert shown(app) == (
        f"10 an hour since {START:%Y-%m-%d %H:%M} UTC, 20 wait: through by"
        f" {clock() + timedelta(hours=2):%Y-%m-%d %H:%M} UTC"
    )
    page = words(staff(app, Role.SUPPORT).get("/console/window"))
    assert "At the rate of 10 an hour it is through at" in page
    assert "too slow" not in page
    page = words(staff(app, Role.SUPPORT).get("/console/window/mailer"))
    assert "Forecast At the rate of 10 an hour it is through at" in page


def test_a_rate_that_is_too_low_says_for_how_many(app: Flask, tool: int, clock: Clock) -> None:
    clock.now = START + WINDOW - timedelta(hours=1)
    push(app, tool, clock, 5)  # ten an hour: half of them after the deadline
    text = shown(app)
    assert "too slow for 10, whose 72 hours end before" in text
    assert "raise the rate limit" in text
    page = words(staff(app, Role.SUPPORT).get("/console/window"))
    assert "That is too slow for 10, whose 72 hours end before" in page


def test_without_a_push_there_is_no_time(app: Flask, tool: int, clock: Clock) -> None:
    clock.advance(timedelta(minutes=30))
    assert shown(app) == (f"none: 20 wait, and nothing was pushed since {START:%Y-%m-%d %H:%M} UTC")
