"""The report: one sentence that answers, tables without small cells, files that are safe."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import Change, EventKind, Retraction
from preference_center.core.staff import Role
from preference_center.core.tabular import to_spreadsheet_text
from preference_center.destinations.rules.promise import BucketCount, bucket_of
from preference_center.destinations.store.deliveries import add_reflections
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.recipients.store import SurveyReason, increment_count
from preference_center.reports.console.build import ReportTable, to_csv
from preference_center.reports.store import count_new_events
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.ledger.changes import add_destination
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

TODAY = START.date()
HERE = f"/console/reports?from={TODAY}&until={TODAY}"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def catalogue(app: Flask) -> None:
    put_in_force(app)


def report(app: Flask, path: str = HERE, role: Role = Role.COMPLIANCE) -> TestResponse:
    return staff(app, role).get(path)


def table(app: Flask, name: str, role: Role = Role.COMPLIANCE) -> list[list[str]]:
    """The lines of a CSV file after its heading."""
    answer = report(app, HERE.replace("reports?", f"reports/{name}.csv?"), role)
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.get_data(as_text=True))))[1:]


def append(app: Flask, count: int, kind: EventKind = EventKind.OPTED_OUT, **given: Any) -> None:
    with app.app_context():
        fields: dict[str, Any] = {"scope": "acme.offers", "source": "one_click", "actor": "test"}
        record(
            [
                Change(
                    id=(number := uuid4()),
                    kind=kind,
                    address=parse_address(f"{number.hex}@example.com", Channel.EMAIL),
                    occurred_at=START,
                    received_at=START,
                    **fields | given,
                )
                for _ in range(count)
            ]
        )
        count_new_events(START)


def reflect(app: Flask, *times: timedelta, destination: str = "mailer") -> None:
    with app.app_context():
        for time in times:
            counts = {bucket_of(time): BucketCount(1, time)}
            run_in_transaction(
                lambda c, counts=counts: add_reflections(c, destination, START, counts)  # type: ignore[misc]
            )


def ask(app: Flask, **given: Any) -> None:
    """A request that was received and is not answered."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "kind": "access",
        "law": "gdpr",
        "received_at": START,
        "due_at": START + timedelta(days=30),
        "extended_to": None,
        "stopped_at": None,
        "closed_at": None,
        "state": "open",
    }
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO rights_request (id, kind, law, via, language, received_at,
                    recorded_at, due_at, extended_to, stopped_at, level, required_level, state,
                    closed_at)
                VALUES (%(id)s, %(kind)s, %(law)s, 'page', 'en', %(received_at)s,
                    %(received_at)s, %(due_at)s, %(extended_to)s, %(stopped_at)s, 0, 0,
                    %(state)s, %(closed_at)s)""",
                row | given,
            )
        )


def test_an_empty_database_says_so(app: Flask) -> None:
    answer = report(app, "/console/reports")
    assert answer.status_code == 200
    said = words(answer)
    assert "No opt-out was pushed to a tool in this period." in said
    assert "No data-subject request was received." in said
    assert "Nothing is counted yet" in said
    assert "promise good" in answer.get_data(as_text=True)


@pytest.mark.usefixtures("catalogue")
def test_it_answers_that_all_were_reflected_in_time(app: Flask) -> None:
    reflect(app, timedelta(seconds=4), timedelta(hours=3, minutes=20))
    said = words(report(app))
    assert (
        "Every opt-out that was pushed was reflected within 72 hours. Pushes: 2, the longest after"
        " 3 h 20 min (mailer). None waits for longer than that now." in said
    )
    assert table(app, "times") == [["mailer", "2", "4", "11160", "12000", "0", "0", "0", "0"]]


@pytest.mark.usefixtures("catalogue")
def test_it_answers_where_some_were_late_and_what_waits_still(app: Flask, clock: Clock) -> None:
    reflect(app, timedelta(hours=80), timedelta(minutes=1), timedelta(hours=50))
    reflect(app, timedelta(minutes=1), destination="other")
    with app.app_context():
        add_destination("paused", "acme.offers")
    append(app, 1)
    clock.advance(WINDOW)
    answer = report(app)
    said = words(answer)
    assert "Pushes of an opt-out: 4. Of these took 72 hours or longer: 1, in mailer (1)." in said
    assert "Past 72 hours and still not reflected are: paused (1)." in said
    assert "promise bad" in answer.get_data(as_text=True)
    assert [(row[0], row[5:]) for row in table(app, "times")] == [
        ("mailer", ["2", "2", "1", "0"]),
        ("other", ["0", "0", "0", "0"]),
        ("paused", ["0", "0", "0", "1"]),
    ]


@pytest.mark.usefixtures("catalogue")
def test_past_the_target_is_a_warning(app: Flask) -> None:
    reflect(app, timedelta(hours=50))
    assert "promise warn" in report(app).get_data(as_text=True)


@pytest.mark.usefixtures("catalogue")
def test_opt_outs_are_broken_down_without_small_cells(app: Flask) -> None:
    append(app, 12)
    append(app, 11, EventKind.OPTED_IN)
    append(app, 3, EventKind.COMPLAINED, source="destination", actor="mailer")
    append(app, 8, source="senders", scope="all_marketing")
    assert table(app, "sources") == [
        ["with the unsubscribe button of the email app", "12", "11", "-1"],
        ["reported by mailer", "", "0", ""],
        ["by the API", "", "0", ""],
        ["others", "11", "0", "-11"],
    ]
    assert table(app, "topics") == [  # a difference to the total would show the 8
        ["Offers (Acme)", "", "11", ""],
        ["all marketing", "", "0", ""],
        ["others", "23", "0", "-23"],
    ]
    assert table(app, "brands") == [
        ["Acme", "", "11", ""],
        ["every brand", "", "0", ""],
        ["others", "23", "0", "-23"],
    ]
    assert table(app, "over-time") == [[str(TODAY), "23", "11", "-12"]]
    assert "<svg viewBox" in report(app).get_data(as_text=True)


@pytest.mark.usefixtures("catalogue")
def test_retractions_and_days_without_counts_are_said(app: Flask) -> None:
    append(app, 1)
    with app.app_context():
        event = run_in_transaction(lambda c: c.execute("SELECT id FROM event").fetchone())
        assert event
        record([Retraction(uuid4(), (event[0],), START, "test", "test")])
        count_new_events(START)
    said = words(report(app, f"/console/reports?from=2026-11-01&until={TODAY}&unit=week"))
    assert "There are no counts before 24 Nov 2026" in said
    assert "Counted is what was recorded until 24 Nov 2026" in said
    assert "A day ends at midnight UTC." in said
    assert "1 retraction was recorded. It takes nothing from the counts." in said


def test_requests_in_time_are_counted_by_law_and_kind(app: Flask, clock: Clock) -> None:
    day = timedelta(days=1)
    ask(app, closed_at=START + 5 * day, state="done")
    ask(app, closed_at=START + 40 * day, state="done")
    ask(app, closed_at=START + 40 * day, state="done", extended_to=START + 90 * day)
    ask(app, closed_at=START + 40 * day, state="refused", stopped_at=START + 3 * day)
    ask(app, closed_at=START + 40 * day, state="lapsed")
    ask(app, kind="erase", law="ccpa", due_at=START + 45 * day)
    ask(app, kind="erase", law=None)
    ask(app, received_at=START - day)  # of another period
    clock.advance(41 * day)
    assert table(app, "requests") == [
        ["CCPA", "Erasure", "0", "0", "1", "0", "0"],
        ["GDPR", "Access to data", "3", "1", "0", "0", "1"],
        ["not stated", "Erasure", "0", "0", "0", "1", "0"],
    ]
    said = words(report(app))
    assert "2 data-subject requests of 6 were or are late." in said
    assert "Late requests" in said


def test_who_may_not_open_requests_sees_no_small_number_of_them(app: Flask) -> None:
    ask(app, due_at=START - timedelta(days=1))
    for role in (Role.OPERATOR, Role.ADMIN):
        assert table(app, "requests", role) == [["GDPR", "Access to data", "0", "0", "0", "", "0"]]
        assert "Late requests" not in words(report(app, role=role))


@pytest.mark.usefixtures("catalogue")
def test_reasons_are_those_of_the_months_of_the_period(app: Flask) -> None:
    def give(connection: Connection) -> None:
        for _ in range(12):
            increment_count(connection, "acme.offers", SurveyReason.TOO_OFTEN, START)
        increment_count(connection, "acme.offers", SurveyReason.OTHER, START)
        increment_count(connection, "acme.offers", SurveyReason.OTHER, START - timedelta(days=40))

    with app.app_context():
        run_in_transaction(give)
    ((_topic, _reason, count),) = table(app, "reasons")
    assert count == "13"  # the one is merged, so that no difference shows it


@pytest.mark.parametrize(
    "query, problem",
    [
        ("from=yesterday&until=2026-11-24", "Enter both dates"),
        ("from=2026-11-24", "Enter both dates"),
        ("from=2026-11-24&until=2026-11-23", "The first day comes after the last"),
        ("from=2026-11-24&until=2027-11-23", "The last day lies in the future"),
        ("from=2000-11-24&until=2026-11-23", "at most 366 days"),
    ],
)
def test_dates_that_are_no_period_are_shown_with_what_to_fix(
    app: Flask, query: str, problem: str
) -> None:
    answer = report(app, f"/console/reports?{query}")
    assert answer.status_code == 422
    assert problem in words(answer)
    assert report(app, f"/console/reports/times.csv?{query}").status_code == 404


def test_without_dates_it_is_the_last_quarter_or_this_one_if_nothing_is_older(
    app: Flask,
) -> None:
    assert "Report: 1 Oct 2026 to 24 Nov 2026" in words(report(app, "/console/reports"))
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                "INSERT INTO daily_count_progress (first_day) VALUES (%s)", (date(2026, 8, 1),)
            )
        )
    assert "Report: 1 Jul 2026 to 30 Sept 2026" in words(report(app, "/console/reports"))


def test_what_a_stranger_or_an_operator_has_named_is_shown_as_text(app: Flask) -> None:
    reflect(app, timedelta(seconds=1), destination=HOSTILE)
    append(app, 12, source=HOSTILE, scope=f"acme.{HOSTILE}")
    html = report(app).get_data(as_text=True)
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", " =1", "\r@a"])
def test_no_cell_of_a_file_is_a_formula(text: str) -> None:
    assert to_spreadsheet_text(text) == f"'{text}"
    lines = to_csv(ReportTable("x", "x", [text], [[text, -5, None, timedelta(hours=1)]], ""))
    assert list(csv.reader(io.StringIO(lines, newline=""))) == [
        [f"'{text}"],
        [f"'{text}", "-5", "", "3600"],
    ]


def test_a_title_is_written_as_it_is() -> None:
    assert to_spreadsheet_text("Offers & news, 1 = 1") == "Offers & news, 1 = 1"
    assert to_spreadsheet_text("") == ""


def test_a_file_is_an_attachment_and_other_names_have_none(app: Flask) -> None:
    answer = report(app, HERE.replace("reports?", "reports/times.csv?"))
    assert answer.headers["Content-Disposition"] == (
        f"attachment; filename=times-{TODAY}-{TODAY}.csv"
    )
    assert answer.mimetype == "text/csv"
    assert report(app, "/console/reports/nothing.csv").status_code == 404
