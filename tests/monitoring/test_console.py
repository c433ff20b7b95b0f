"""The board: whether the promise is kept, and every destination, worst first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.core.staff import Role
from preference_center.destinations.rules.states import DestinationStatus, Trouble
from preference_center.destinations.store import destinations, samples
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.monitoring import measure
from preference_center.monitoring.measure import measure_database, record_samples
from tests.in_force import put_in_force
from tests.ledger.changes import add_destination
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def opt_out(app: Flask, clock: Clock, address: str = "jane@example.com") -> None:
    with app.app_context():
        person = parse_address(address, Channel.EMAIL)
        at = clock()
        record([Change(uuid4(), EventKind.OPTED_OUT, person, "acme.offers", at, at, "t", "t")])


def add(app: Flask, name: str) -> int:
    with app.app_context():
        return add_destination(name, "acme.offers")


def deliver(number: int, outcome: str, at: datetime) -> None:
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
            VALUES (%s, 1, 1, %s, '', %s)""",
            (number, outcome, at),
        )
    )


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    return app


def board(app: Flask) -> str:
    return words(staff(app, Role.SUPPORT).get("/console/window"))


def test_without_anything_waiting_every_opt_out_has_reached_every_tool(app: Flask) -> None:
    text = board(app)
    assert "Every opt-out has reached every tool." in text
    assert "No destination yet" in text


def test_the_sentence_says_how_long_the_oldest_has_waited(app: Flask, clock: Clock) -> None:  # I3
    add(app, "mailer")
    opt_out(app, clock)
    clock.advance(timedelta(minutes=12))
    text = board(app)
    assert "On time: every opt-out older than 12 minutes has reached every tool." in text
    clock.advance(timedelta(hours=37))
    text = board(app)
    assert "Late (at risk: 36 hours passed): an opt-out has waited for 37 hours." in text
    assert "Look at mailer." in text


def test_the_worst_destination_comes_first_with_what_to_do_next(app: Flask, clock: Clock) -> None:
    late, fresh = add(app, "tool-b"), add(app, "tool-a")
    opt_out(app, clock)
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute("DELETE FROM sync_state WHERE destination_id = %s", (fresh,))
        )
        run_in_transaction(lambda c: destinations.set_status(c, late, DestinationStatus.ACTIVE))
        run_in_transaction(
            lambda c: destinations.open_circuit(
                c,
                late,
                "<script>alert(1)</script> 503",
                clock() + timedelta(minutes=5),
                Trouble.FAILING,
                clock(),
            )
        )
    response = staff(app, Role.SUPPORT).get("/console/window")
    text, html = words(response), response.get_data(as_text=True)
    assert text.index("tool-b") < text.index("tool-a")
    assert "broken The last push failed; at" in text
    assert "observed Nothing is pushed yet. Look at the preview" in text
    assert "<script>alert" not in html  # a vendor's words
    assert "<script>alert(1)</script> 503" in text


def test_a_broken_tool_is_named_though_nothing_is_late(app: Flask, clock: Clock) -> None:  # I3
    number = add(app, "mailer")
    with app.app_context():
        run_in_transaction(lambda c: destinations.set_status(c, number, DestinationStatus.ACTIVE))
        assert "Broken" not in board(app)
        retry_at = clock() + timedelta(minutes=5)
        run_in_transaction(
            lambda c: destinations.open_circuit(
                c, number, "401", retry_at, Trouble.REFUSED, clock()
            )
        )
    assert "Every opt-out has reached every tool. Broken: mailer." in board(app)


def test_beside_a_broken_tool_it_is_not_said_that_nothing_failed(app: Flask, clock: Clock) -> None:
    number = add(app, "mailer")
    with app.app_context():
        run_in_transaction(lambda c: destinations.set_status(c, number, DestinationStatus.ACTIVE))
        retry_at = clock() + timedelta(minutes=5)
        run_in_transaction(
            lambda c: destinations.open_circuit(
                c, number, "503", retry_at, Trouble.FAILING, clock()
            )
        )
        assert "503 0 whole batches 0" in board(app)
        deliver(number, "later", clock() - timedelta(minutes=1))
        assert "503 0 1 0" in board(app)


def test_the_board_counts_as_monitoring_does(app: Flask, clock: Clock) -> None:
    add(app, "mailer")
    for name in ("a", "b", "c"):
        opt_out(app, clock, f"{name}@example.com")
    with app.app_context():
        measured = measure_database(services().now())
    assert measured.destinations[0].pending == 3
    text = board(app)
    assert "less than a minute 3 observed Nothing is pushed yet" in text
    assert "On time: every opt-out older than a minute has reached every tool." in text


def test_a_count_that_stopped_at_its_limit_says_so(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MIN_PENDING", 2)
    monkeypatch.setattr(samples, "MAX_PENDING", 2)
    add(app, "crm")
    for person in ("jane", "john"):
        opt_out(app, clock, f"{person}@example.com")
    one = "/console/window/crm"
    assert "or more" not in board(app) + words(staff(app, Role.SUPPORT).get(one))
    opt_out(app, clock, "joan@example.com")
    assert "2 or more" in board(app)
    assert "2 or more" in words(staff(app, Role.SUPPORT).get(one))


@pytest.mark.parametrize(
    "limit, texts",
    [
        ("MAX_STAGES", ("0 or more requests due soon", "0 or more requests overdue")),
        ("MAX_BY_HAND", ("0 or more erasures by hand",)),
    ],
)
def test_a_count_of_requests_that_stopped_at_its_limit_says_so(
    app: Flask, monkeypatch: pytest.MonkeyPatch, limit: str, texts: tuple[str, ...]
) -> None:
    monkeypatch.setattr(measure, limit, 0)
    shown = words(staff(app, Role.COMPLIANCE).get("/console/window"))
    assert shown.count("or more") == len(texts)
    assert all(text in shown for text in texts)


def test_what_was_just_pushed_is_counted_by_destination(app: Flask, clock: Clock) -> None:
    number = add(app, "mailer")
    with app.app_context():
        for minutes, outcome in ((1, "reflected"), (2, "absent"), (3, "later"), (11, "reflected")):
            deliver(number, outcome, clock() - timedelta(minutes=minutes))
    assert "then resume it to start pushing. 2 1 0" in board(app)


def test_what_was_just_pushed_may_be_more_than_is_read(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MAX_RECENT_DELIVERIES", 2)
    number = add(app, "mailer")
    with app.app_context():
        for minutes in (3, 2, 1):
            deliver(number, "reflected", clock() - timedelta(minutes=minutes))
    assert "then resume it to start pushing. 2 or more 0 or more 0" in board(app)


def test_only_the_newest_deliveries_are_read(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MAX_RECENT_DELIVERIES", 2)
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
                SELECT 1, 1, 1, 'reflected', '', %s::timestamptz - make_interval(mins => 5 - n)
                FROM generate_series(1, 4) AS n""",
                (clock(),),
            )
        )
        found = run_in_transaction(
            lambda c: samples.load_recent_deliveries(c, clock() - timedelta(minutes=10))
        )
    assert found.since == clock() - timedelta(minutes=2)
    assert sum(each.count for each in found.counts) == 2


def test_plots_have_a_description_and_a_table_and_a_period(app: Flask, clock: Clock) -> None:
    add(app, "mailer")
    opt_out(app, clock)
    assert "No samples yet" in board(app)
    clock.advance(timedelta(hours=3, minutes=1))
    with app.app_context():
        record_samples(clock())
    response = staff(app, Role.SUPPORT).get("/console/window?period=7d")
    html, text = response.get_data(as_text=True), words(response)
    assert html.count('role="img"') == 3
    assert "At most 3 hours; last Oldest: 3 hours." in text
    assert "At most 1; last Addresses that wait: 1." in text
    assert "Until Pushed per hour Failed per hour" in text
    assert '<a href="?period=7d#over-time" aria-current="true">' in html
    assert " style=" not in html  # the policy allows none


def test_a_tool_whose_rate_limit_is_reached_is_not_called_broken(app: Flask, clock: Clock) -> None:
    number = add(app, "mailer")
    with app.app_context():
        run_in_transaction(lambda c: destinations.set_status(c, number, DestinationStatus.ACTIVE))
        later = clock() + timedelta(minutes=1)
        run_in_transaction(lambda c: destinations.defer(c, number, "429", later, clock()))
    assert "slowed down Its rate limit is reached. It goes on by itself." in board(app)


def test_counts_lead_to_the_pages_that_the_person_may_open(app: Flask) -> None:
    html = staff(app, Role.SUPPORT).get("/console/window").get_data(as_text=True)
    counts = html[html.index('id="counts"') : html.index("<h2>")]
    assert 'href="/console/review"' in counts
    assert 'href="/console/requests"' in counts
    html = staff(app, Role.ADMIN).get("/console/window").get_data(as_text=True)
    assert "href" not in html[html.index('id="counts"') : html.index("<h2>")]
