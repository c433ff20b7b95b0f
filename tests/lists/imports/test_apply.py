"""Plan and apply: the same figures, nothing lifted, dates as they should count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import InvalidInput, MissingScopes
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.lists.imports.apply import ImportBudget, Throttle
from preference_center.lists.rules.rows import UnreadableDates
from tests.clock import START
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import EVENT_WITH_EVIDENCE
from tests.lists.imports.importing import (
    allows,
    books,
    change,
    email,
    events,
    imported,
    instructions_for,
    listed,
    planned,
    stats_of,
)
from tests.recipients.pages.test_policy_versions import VERSIONS

OFFERS, NEWS = "acme.offers", "acme.news"
ALL = ("list", ALL_MARKETING)

pytestmark = pytest.mark.usefixtures("in_force")


def mixed(path: Path) -> Path:
    path.write_text(
        "address,status,group,occurred_at,source,wording,language,legal_basis\n"
        "old@example.com,opted_out,News,2020-01-01,,,,\n"
        "known@example.com,opted_out,News,2020-01-01,,,,\n"
        "newer@example.com,opted_out,News,2026-11-01,,,,\n"
        "undated@example.com,opted_out,All,,,,,\n"
        "sub@example.com,subscribed,News,2024-05-05,shop,Yes please,en,consent\n"
        "no@example.com,subscribed,News,2024-05-05,shop,Yes please,en,consent\n"
        "bare@example.com,subscribed,News,,,,,\n"
        "gone@example.com,bounced,,2024-05-05,,,,\n"
        "twice@example.com,opted_out,News,2020-01-01,,,,\n"
        "twice@example.com,opted_out,News,2020-01-01,,,,\n"
        "skipped@example.com,opted_out,Old,2020-01-01,,,,\n"
        "broken,opted_out,News,2020-01-01,,,,\n"
    )
    return path


MIXED = instructions_for("generic", ("News", NEWS), ("All", ALL_MARKETING), ("Old", "leave_out"))


def test_the_plan_announces_what_apply_counts(tmp_path: Path) -> None:
    record(
        [
            change(EventKind.OPTED_OUT, email("known"), NEWS, START - timedelta(days=9)),
            change(EventKind.OPTED_OUT, email("newer"), NEWS, START - timedelta(days=900)),
            change(EventKind.OPTED_OUT, email("no"), ALL_MARKETING, START - timedelta(days=1)),
        ]
    )
    path = mixed(tmp_path / "mixed.csv")
    made, refusals = planned(path, MIXED)

    assert (
        made.stats.to_json()
        == stats_of(
            imported(
                path, MIXED, ImportBudget(sleep=lambda _: None, throttle=Throttle(chunk_size=2))
            )
        ).to_json()
    )
    assert (made.stats.total_new, made.stats.total_already_present) == (8, 1)
    assert (made.stats.still_suppressed, made.stats.undated, made.stats.excluded) == (1, 1, 1)
    assert [refusal.line for refusal in refusals] == [8, 13]


def test_only_one_side_of_a_file_is_imported_if_one_states_it(
    exports: Path, tmp_path: Path
) -> None:
    path, scopes = (
        exports / "ses-contacts.json",
        [("Cycling", NEWS), ("unsubscribed from all", NEWS)],
    )
    made, _ = planned(path, instructions_for("ses-contacts", *scopes, only="opt-outs"))
    assert (made.stats.total_new, made.stats.excluded) == (2, 1)

    plain, _ = planned(
        listed(tmp_path / "list", 2), instructions_for("addresses", ALL, only="opt-outs")
    )
    assert (plain.stats.total_new, plain.stats.excluded) == (2, 0)


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    planned(listed(tmp_path / "list", 3), instructions_for("addresses", ALL, only="opt-outs"))

    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM list_import").fetchone()
    ) == (0,)
    assert books() == []


def test_importing_a_list_again_adds_nothing(tmp_path: Path) -> None:
    instructions = instructions_for("addresses", ALL, only="opt-outs")
    imported(listed(tmp_path / "list", 3), instructions)
    again, _ = planned(listed(tmp_path / "more", 4), instructions)

    assert (again.stats.total_new, again.stats.total_already_present) == (1, 3)


def test_a_list_of_ten_years_ago_is_due_in_72_hours_from_now(tmp_path: Path) -> None:
    # I3: else ten million overdue rows would hide the few that can still be saved
    path = tmp_path / "list.csv"
    path.write_text(
        "email,status,group,occurred_at,received_at\n"
        "a@example.com,opted_out,All,2016-01-01,2016-01-02T00:00Z\n"
        "b@example.com,opted_out,All,2026-11-23T08:00Z,2026-11-23T10:00Z\n"
        "c@example.com,opted_out,All,,\n"
        "d@example.com,opted_out,All,03/04/2016,2031-01-01T00:00Z\n"
    )
    as_now = {"unreadable_dates": UnreadableDates.NOW}
    imported(path, instructions_for("generic", ("All", ALL_MARKETING), **as_now))

    rows = run_in_transaction(
        lambda c: c.execute("SELECT received_at, counts_at FROM event ORDER BY seq").fetchall()
    )
    assert [row[0] for row in rows] == [
        START,
        datetime(2026, 11, 23, 10, tzinfo=UTC),  # these 72 hours run already
        START,
        START,
    ]
    assert rows[0][1] == datetime(2016, 1, 2, 0, 14, 59, tzinfo=UTC)
    assert rows[3][1] == START  # a date that may be two costs nobody their "no"
    assert all(row[0] + WINDOW > START for row in rows)


def test_whoever_states_an_earlier_receipt_has_the_clock_run_from_there(tmp_path: Path) -> None:
    # I3
    monday = START - timedelta(hours=30)
    path = listed(tmp_path / "letters", 1)
    imported(path, instructions_for("addresses", ALL, only="opt-outs", received_at=monday))

    assert run_in_transaction(lambda c: c.execute("SELECT received_at FROM event").fetchall()) == [
        (monday,)
    ]


def test_a_no_that_reached_the_company_before_the_one_that_stands_keeps_its_deadline(
    tmp_path: Path,
) -> None:  # I3: recorded later, though it passed for already there
    monday, tuesday = START - timedelta(hours=30), START - timedelta(hours=10)
    record([change(EventKind.OPTED_OUT, email("person-0"), ALL_MARKETING, tuesday)])
    instructions = instructions_for("addresses", ALL, only="opt-outs", received_at=monday)
    assert stats_of(imported(listed(tmp_path / "list", 1), instructions)).total_new == 1
    again = stats_of(imported(listed(tmp_path / "again", 2), instructions))
    assert (again.total_new, again.total_already_present) == (1, 1)


def test_groups_without_a_scope_are_listed_with_an_example_to_copy(exports: Path) -> None:
    with pytest.raises(MissingScopes) as error:
        planned(exports / "sendgrid-groups.csv", instructions_for("sendgrid-groups"))

    assert '2  opt_out  "Daily News"' in str(error.value)
    assert '"Weekly News" = "all_marketing"' in error.value.example
    assert "acme.old" not in str(error.value)  # retired


def test_the_example_keeps_a_group_that_is_named_like_a_topic(tmp_path: Path) -> None:
    path = tmp_path / "ours.csv"
    path.write_text(f"address,status,group\nada@example.com,opted_out,{NEWS}\n")
    with pytest.raises(MissingScopes) as error:
        planned(path, instructions_for("generic"))
    assert f'"{NEWS}" = "{NEWS}"' in error.value.example


def test_a_scope_that_the_catalogue_lacks_is_refused_at_once(exports: Path) -> None:
    instructions = instructions_for(
        "sendgrid-groups", ("Weekly News", "acme.newz"), ("Daily News", NEWS)
    )
    with pytest.raises(InvalidInput, match=r'did you mean "acme\.news"'):
        planned(exports / "sendgrid-groups.csv", instructions)


def test_subscriptions_without_evidence_are_refused_or_marked_as_the_policy_has_it(
    in_force: Flask, exports: Path
) -> None:
    audience = instructions_for("mailchimp-subscribed", ("audience", OFFERS))
    made, refusals = planned(exports / "mailchimp-subscribed.csv", audience)
    assert made.stats.refused == 2
    assert (
        "state what applies to all such rows: legal basis, source, wording, language"
        in refusals[0].reason
    )

    put_in_force(in_force, CATALOGUE + '\n[policy]\nunproven_imports = "flag"\n')
    imported(exports / "mailchimp-subscribed.csv", audience)

    evidence = run_in_transaction(
        lambda c: c.execute("SELECT evidence FROM event_evidence").fetchall()
    )
    assert {row[0]["proof"] for row in evidence} == {"unproven"}


def test_an_existing_customer_is_no_consent(exports: Path) -> None:
    path = exports / "generic-list.csv"
    _, refusals = planned(
        path, instructions_for("generic-list", ("Letter", NEWS), only="subscriptions")
    )
    assert [refusal.line for refusal in refusals] == [3]
    assert "needs a consent" in refusals[0].reason

    made, _ = planned(
        path, instructions_for("generic-list", ("Letter", OFFERS), only="subscriptions")
    )
    assert made.stats.total_new == 2


def test_evidence_that_names_the_person_is_refused(tmp_path: Path) -> None:
    # I8
    path = tmp_path / "list.csv"
    path.write_text(
        "email,date,source,wording,language,legal_basis\n"
        "ada@example.com,2024-01-01,form of ada@example.com,Yes,en,consent\n"
    )
    _, refusals = planned(
        path, instructions_for("generic-list", ("list", NEWS), only="subscriptions")
    )

    assert "ada" not in refusals[0].reason
    assert "address" in refusals[0].reason


def test_a_subscription_keeps_the_version_of_the_policy_that_was_shown(
    in_force: Flask, tmp_path: Path
) -> None:
    put_in_force(in_force, CATALOGUE + VERSIONS)
    path = tmp_path / "list.csv"
    path.write_text(
        "email,date,source,wording,language,legal_basis,policy\n"
        "ada@example.com,2026-02-01,a form,Yes,en,consent,privacy/2026\n"
        "bob@example.com,2026-02-01,a form,Yes,en,consent,\n"
        "eve@example.com,2026-02-01,a form,Yes,en,consent,privacy/1999\n"
    )
    instructions = instructions_for("generic-list", ("list", NEWS), only="subscriptions")
    _, [refused] = planned(path, instructions)
    assert "no such version of the privacy policy" in refused.reason
    imported(path, instructions)
    query = f"SELECT evidence ->> 'policy' FROM {EVENT_WITH_EVIDENCE} ORDER BY seq"
    found = run_in_transaction(lambda c: c.execute(query.encode()).fetchall())
    assert found == [("privacy/2026",), (None,)]


def test_hashes_suppress_whom_nobody_can_read(exports: Path) -> None:
    # I9
    imported(exports / "hashes.txt", instructions_for("hashes", ALL))

    assert not allows(email("ada"), "offers.weekly")
    assert not allows(email("grace"), "offers.weekly")
    assert allows(email("linus"), "offers.weekly")


def test_hard_bounces_and_spam_reports_are_what_they_are(exports: Path) -> None:
    imported(exports / "sendgrid-bounces.csv", instructions_for("sendgrid-bounces"))
    imported(
        exports / "sendgrid-spam-reports.csv",
        instructions_for("sendgrid-spam-reports", ("spam reports", ALL_MARKETING)),
    )

    assert events() == [("bounced", "undeliverable"), ("complained", ALL_MARKETING)]
