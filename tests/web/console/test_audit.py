"""The audit page: newest first, by actor, action and day; looks without an address; CSV."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.staff import AccessAction, AccessReason, Role, StaffAccess
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.console.looks import insert_person_access
from tests.clock import START
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def grace(app: Flask) -> Staff:
    return staff(app, Role.COMPLIANCE)


def record(actor: str, action: str, at: datetime = START, **detail: str) -> None:
    run_in_transaction(lambda connection: insert_audit_entry(connection, at, actor, action, detail))


def look_at_jane() -> None:
    context = services()
    access = StaffAccess(
        context.new_id(),
        START,
        "console:ada",
        AccessAction.PERSON_VIEWED,
        AccessReason.CALLED,
        "T-77",
    )
    jane = parse_address("jane.doe@example.com", Channel.EMAIL)
    run_in_transaction(lambda c: insert_person_access(c, context.keys, access, jane))


def test_the_newest_comes_first_and_older_ones_are_a_page_on(grace: Staff) -> None:
    for number in range(60):
        record("cli:ada", "api_key.created", START + timedelta(seconds=number), name=f"k{number}.")
    page = grace.get("/console/audit?action=api_key.created")
    text = words(page)
    assert text.index("k59.") < text.index("k58.") < text.index("k10.")
    assert "k9." not in text
    older = page.get_data(as_text=True).split('rel="next"')[0].rsplit('href="', 1)[1]
    text = words(grace.get(older.partition('"')[0].replace("&amp;", "&")))
    assert "k9." in text
    assert "k0." in text
    assert "k10." not in text


def test_entries_are_found_by_actor_and_by_day_where_the_company_is(grace: Staff) -> None:
    record("cli:ada", "links.revoked", datetime(2026, 11, 23, 22, 59, tzinfo=UTC), name="evening")
    record("cli:ada", "links.revoked", datetime(2026, 11, 23, 23, 1, tzinfo=UTC), name="midnight")
    record("cli:eve", "links.revoked", datetime(2026, 11, 23, 23, 2, tzinfo=UTC), name="another")
    text = words(grace.get("/console/audit?actor=cli:ada&day=2026-11-24"))  # in Rome
    assert "midnight" in text
    assert "evening" not in text
    assert "another" not in text


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_says_how_to_write_it(grace: Staff, day: str) -> None:
    answer = grace.get(f"/console/audit?day={day}")
    assert answer.status_code in {200, 422}
    assert (answer.status_code == 422) == ("Write the day as in" in words(answer))


def test_a_key_that_is_none_shows_the_newest(grace: Staff) -> None:
    record("cli:ada", "links.revoked")
    for key in (
        "x",
        "20261124T090000.000000Z-x",
        "-",
        "20261124T090000.000000Z-99999999999999999999",
    ):
        assert grace.get(f"/console/audit?before={key}").status_code == 200


def test_looks_have_who_when_and_why_and_never_the_address(grace: Staff) -> None:
    look_at_jane()
    record("cli:ada", "links.revoked")
    text = words(grace.get("/console/audit?action=looks"))
    assert "console:ada" in text
    assert "person_viewed" in text
    assert "called" in text
    assert "T-77" in text
    assert "links.revoked" not in text.partition("Details")[2]
    assert "jane" not in text
    assert "example.com" not in text


def test_a_download_has_what_the_filter_has_and_is_an_entry_itself(grace: Staff) -> None:
    record("cli:ada", "links.revoked", name="=HYPERLINK(1)")
    record("=cmd()", "links.revoked", START - timedelta(days=1), name="older")
    answer = grace.get("/console/audit.csv?action=links.revoked")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=audit-2026-11-24")
    rows = list(csv.reader(StringIO(answer.get_data(as_text=True))))
    assert rows == [
        ["at", "actor", "action", "detail", "reference"],
        ["2026-11-24T09:00:00+00:00", "cli:ada", "links.revoked", "name: =HYPERLINK(1)", ""],
        ["2026-11-23T09:00:00+00:00", "'=cmd()", "links.revoked", "name: older", ""],
    ]
    text = words(grace.get("/console/audit?action=audit.downloaded"))
    assert "console:grace" in text
    assert "action links.revoked" in text.replace(":", "")


def test_an_address_that_was_typed_as_a_name_stays_out_of_the_audit(grace: Staff) -> None:  # I12
    assert grace.get("/console/audit.csv?actor=ada@example.com").status_code == 200
    text = words(grace.get("/console/audit?action=audit.downloaded"))
    assert "console:grace" in text
    assert "ada@example.com" not in text


def test_who_may_not_read_the_audit_may_not_download_it(app: Flask) -> None:
    for role in (Role.SUPPORT, Role.OPERATOR):
        assert staff(app, role).get("/console/audit.csv").status_code == 403


def test_reading_a_page_of_it_goes_by_an_index(in_context: None) -> None:
    """However many entries there are, with each filter."""
    from preference_center.infra.audit import AuditFilter, AuditKey, list_audit_entries

    key = AuditKey(START, 5)
    for wanted in (
        AuditFilter(),
        AuditFilter(actor="cli:ada"),
        AuditFilter(actions=["links.revoked"]),
        AuditFilter(since=START, until=START + timedelta(days=1)),
    ):

        def explain(connection: object, wanted: AuditFilter = wanted) -> str:
            plans: list[str] = []

            class Explaining:
                def execute(self, query: bytes, given: list[object]) -> list[object]:
                    connection.execute("SET LOCAL enable_seqscan = off")  # type: ignore[attr-defined]
                    connection.execute("SET LOCAL enable_sort = off")  # type: ignore[attr-defined]
                    plans.extend(
                        row[0]
                        for row in connection.execute(b"EXPLAIN " + query, given)  # type: ignore[attr-defined]
                    )
                    return []

            list_audit_entries(Explaining(), wanted, key, limit=50)  # type: ignore[arg-type]
            return "\n".join(plans)

        plan = run_in_transaction(explain)
        assert "Index Scan" in plan or "Index Only Scan" in plan, plan
        assert "Seq Scan on audit" not in plan, plan
