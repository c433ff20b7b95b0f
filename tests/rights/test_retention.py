"""What is past its retention goes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from preference_center import contacts
from preference_center.catalogue import RetainedData
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.core.staff import AccessAction, AccessReason, StaffAccess
from preference_center.decisions.api import decide_all
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.holds import place_hold
from preference_center.rights.requests.handle import open_request
from preference_center.rights.requests.steps import withdraw_data_request
from preference_center.rights.retention import plan_retention, run_retention
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import RequestKind, RequestVia
from preference_center.web.console.looks import insert_person_access
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import JANE, change, id_of

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")

ORIGIN = RequestOrigin("test", "test", START)


def rule(kind: RetainedData, days: int = 30) -> str:
    return f'{CATALOGUE}\n[retention.{kind}]\ndays = {days}\nground = "test"\n'


def rows(query: bytes) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda c: c.execute(query).fetchall())


@pytest.fixture
def with_evidence(in_context: None, app: Flask, clock: Clock) -> None:
    """Jane opted out twice, and in between in; the newest of each counts."""
    put_in_force(app, rule(RetainedData.EVIDENCE))
    for number, kind in enumerate(
        (EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.OPTED_OUT), start=1
    ):
        record([change(number, kind, at=clock(), evidence={"method": f"m{number}"})])
        clock.advance(timedelta(days=1))


@pytest.mark.usefixtures("with_evidence")
def test_evidence_that_was_replaced_goes_and_what_is_in_force_stays(clock: Clock) -> None:  # I8
    assert run_retention(clock()) == 0

    clock.advance(timedelta(days=60))

    assert run_retention(clock()) == 1
    left = [row[0]["method"] for row in rows(b"SELECT evidence FROM event_evidence ORDER BY 1")]
    assert left == ["m2", "m3"]  # the opt-out in force, and the consent in force before it
    assert len(rows(b"SELECT FROM event")) == 3


@pytest.mark.usefixtures("with_evidence")
def test_a_plan_names_what_a_run_removes_and_changes_nothing(clock: Clock) -> None:
    clock.advance(timedelta(days=60))

    planned, _of_cookies = plan_retention(clock())

    assert (planned.rule.kind, len(planned.items)) == (RetainedData.EVIDENCE, 1)
    assert len(rows(b"SELECT FROM event_evidence")) == 3
    assert run_retention(clock()) == 1


@pytest.mark.usefixtures("with_evidence")
def test_a_kind_is_walked_once_a_day(clock: Clock) -> None:
    run_retention(clock())
    clock.advance(timedelta(hours=23))
    run_retention(clock())
    assert rows(b"SELECT started_at FROM retention_run WHERE kind = 'evidence'") == [
        (clock() - timedelta(hours=23),)
    ]
    clock.advance(timedelta(hours=1))
    run_retention(clock())
    assert rows(b"SELECT started_at FROM retention_run WHERE kind = 'evidence'") == [(clock(),)]


@pytest.mark.usefixtures("with_evidence")
@pytest.mark.parametrize("reason", ["hold", "restriction"])
def test_a_hold_or_a_restriction_keeps_it(reason: str, clock: Clock) -> None:
    if reason == "hold":
        place_hold(JANE, "C-14", "claims", "test")
    else:
        record([change(9, EventKind.RESTRICTED, "restriction", at=clock())])
    clock.advance(timedelta(days=60))
    assert run_retention(clock()) == 0
    assert len(rows(b"SELECT FROM event_evidence WHERE evidence ? 'method'")) == 3


def test_what_an_open_request_is_about_stays_though_it_was_not_stored_when_that_came(
    app: Flask, clock: Clock
) -> None:
    put_in_force(app, rule(RetainedData.SUPPRESSED_ADDRESSES, days=28))
    asked = NewRequest(RequestKind.ACCESS, RequestVia.PAGE, "en", (JANE,), identity_asked=True)
    opened = open_request(asked)
    record([change(1, scope=ALL_MARKETING)])
    clock.advance(timedelta(days=29))
    assert run_retention(clock()) == 0
    withdraw_data_request(opened.id, "test")
    clock.advance(timedelta(days=1))
    assert run_retention(clock()) == 1


def test_an_address_that_gets_nothing_becomes_a_digest(app: Flask, clock: Clock) -> None:  # I6
    put_in_force(app, rule(RetainedData.SUPPRESSED_ADDRESSES))
    record([change(1, scope=ALL_MARKETING)])
    clock.advance(timedelta(days=31))

    assert run_retention(clock()) == 1

    assert rows(b"SELECT ciphertext FROM address WHERE erased_at IS NOT NULL") == [(None,)]
    [facts] = load_exact_facts([JANE])
    assert any(fact.scope == ALL_MARKETING and fact.state.is_suppressed for fact in facts)


def test_an_address_of_a_contact_or_with_a_newer_event_stays(app: Flask, clock: Clock) -> None:
    put_in_force(app, rule(RetainedData.SUPPRESSED_ADDRESSES))
    record([change(1, scope=ALL_MARKETING)])
    contacts.upsert_contacts([ContactUpdate("c-1", "it", (JANE,))], ORIGIN)
    clock.advance(timedelta(days=31))
    assert run_retention(clock()) == 0


OWN, OTHER_FORM, OTHERS = (
    parse_address(text, Channel.EMAIL)
    for text in ("jane.doe@gmail.com", "janedoe@gmail.com", "jean.doe@gmail.com")
)


def close_account() -> None:
    contacts.upsert_contacts([ContactUpdate("c-1", "it", (OWN,))], ORIGIN)
    contacts.deactivate_contacts([(ContactRef(address=OWN), START)], ORIGIN)


def end_all_marketing() -> None:
    record([change(1, scope=ALL_MARKETING, address=OWN)])


@pytest.mark.parametrize(
    "kind, end, since, removed",
    [
        (RetainedData.SUPPRESSED_ADDRESSES, end_all_marketing, OWN, 0),
        (RetainedData.SUPPRESSED_ADDRESSES, end_all_marketing, OTHER_FORM, 0),
        (RetainedData.SUPPRESSED_ADDRESSES, end_all_marketing, OTHERS, 1),
        (RetainedData.CLOSED_ACCOUNTS, close_account, OWN, 1),
        (RetainedData.CLOSED_ACCOUNTS, close_account, OTHER_FORM, 0),
        (RetainedData.CLOSED_ACCOUNTS, close_account, OTHERS, 1),
    ],
)
def test_what_was_asked_for_since_is_sent_after_retention_too(
    app: Flask,
    clock: Clock,
    kind: RetainedData,
    end: Callable[[], None],
    since: Address,
    removed: int,
) -> None:  # I5
    put_in_force(app, rule(kind))
    end()
    clock.advance(timedelta(hours=1))
    record([change(2, EventKind.OPTED_IN, "acme.offers", address=since, at=clock())])
    clock.advance(timedelta(days=31))
    before = decisions()
    assert run_retention(clock()) == removed
    assert decisions() == before


def test_an_address_that_was_opted_out_again_becomes_a_digest(app: Flask, clock: Clock) -> None:
    put_in_force(app, rule(RetainedData.SUPPRESSED_ADDRESSES))
    end_all_marketing()
    for number, kind in enumerate((EventKind.OPTED_IN, EventKind.OPTED_OUT), start=2):
        clock.advance(timedelta(hours=1))
        record([change(number, kind, "acme.offers", address=OTHER_FORM, at=clock())])
    clock.advance(timedelta(days=31))
    assert run_retention(clock()) == 1


def decisions() -> list[bool]:
    texts = [address.exact for address in (OWN, OTHER_FORM, OTHERS)]
    found = decide_all(
        texts, "offers.weekly", Channel.EMAIL, current_catalogue(), "IT", services().now()
    )
    return [each.allow for each in found.decisions]


def test_a_closed_account_is_erased_when_its_time_is_over(app: Flask, clock: Clock) -> None:
    put_in_force(app, rule(RetainedData.CLOSED_ACCOUNTS, days=365))
    contacts.upsert_contacts([ContactUpdate("c-1", "it", (JANE,))], ORIGIN)
    contacts.deactivate_contacts([(ContactRef(address=JANE), START)], ORIGIN)
    clock.now = START + timedelta(days=364)
    assert run_retention(clock()) == 0
    clock.advance(timedelta(days=2))

    assert run_retention(clock()) == 1

    assert rows(b"SELECT account, locale FROM contact") == [("erased", None)]
    assert id_of(JANE) is not None
    assert rows(b"SELECT ciphertext FROM contact_external_id") == [(None,)]


def test_old_audit_entries_go(app: Flask, clock: Clock) -> None:
    put_in_force(app, rule(RetainedData.AUDIT, days=365))
    run_in_transaction(lambda c: audit.insert_audit_entry(c, START, "cli", "old", {}))
    clock.advance(timedelta(days=366))
    run_in_transaction(lambda c: audit.insert_audit_entry(c, clock(), "cli", "new", {}))
    run_retention(clock())
    assert [row[0] for row in rows(b"SELECT action FROM audit")] == ["new"]


def test_a_look_at_a_person_goes_with_its_audit_entry(app: Flask, clock: Clock) -> None:
    put_in_force(app, rule(RetainedData.AUDIT, days=365))

    def look(connection: Connection, number: int) -> None:
        action, reason = AccessAction.PERSON_VIEWED, AccessReason.CALLED
        access = StaffAccess(UUID(int=number), clock(), "console:ada", action, reason)
        insert_person_access(connection, services().keys, access, JANE)

    run_in_transaction(lambda c: look(c, 1))
    clock.advance(timedelta(days=366))
    run_in_transaction(lambda c: look(c, 2))
    run_retention(clock())
    assert rows(b"SELECT id FROM person_access") == [(UUID(int=2),)]


def test_a_run_goes_on_where_it_was(app: Flask, clock: Clock, monkeypatch: Any) -> None:
    monkeypatch.setattr("preference_center.rights.retention.WINDOW", 1)
    put_in_force(app, rule(RetainedData.AUDIT, days=1))
    for action in ("a", "b", "c"):
        run_in_transaction(
            partial(audit.insert_audit_entry, at=START, actor="cli", action=action, detail={})
        )
    clock.advance(timedelta(days=2))
    stops = [False, True]  # after a window of each kind
    assert [run_retention(clock(), iter(stops).__next__) for _ in range(4)] == [1, 1, 1, 0]
    assert rows(b"SELECT removed, finished_at IS NULL FROM retention_run WHERE kind = 'audit'") == [
        (3, False)
    ]


def test_kinds_take_turns_so_none_waits_for_a_long_one(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.rights.retention.WINDOW", 1)
    both = rule(RetainedData.EVIDENCE) + rule(RetainedData.AUDIT, days=1).removeprefix(CATALOGUE)
    put_in_force(app, both)
    for number in range(1, 10):
        record([change(number, at=clock() + timedelta(seconds=number))])
    run_in_transaction(
        partial(audit.insert_audit_entry, at=START, actor="cli", action="a", detail={})
    )
    clock.advance(timedelta(days=2))
    run_retention(clock(), iter([False, True]).__next__)
    assert rows(b"SELECT count(*) FROM retention_run WHERE position > 0") == [(2,)]


@pytest.mark.usefixtures("with_evidence")
def test_a_run_ends_though_a_new_epoch_has_skipped_numbers(clock: Clock) -> None:
    """A restore moves the ledger's sequence far on; windows count rows, not numbers."""
    skip = b"SELECT setval('event_seq_seq', nextval('event_seq_seq') + 1000000000000)"
    [(last,)] = rows(skip)
    record([change(8, EventKind.OPTED_OUT, at=clock())])
    clock.advance(timedelta(days=60))

    assert run_retention(clock()) == 2

    assert rows(
        b"SELECT position > %d, finished_at IS NOT NULL FROM retention_run WHERE kind = 'evidence'"
        % last
    ) == [(True, True)]


def test_without_rules_everything_is_kept(app: Flask, clock: Clock) -> None:
    put_in_force(app)
    record([change(1, scope=ALL_MARKETING)])
    assert run_retention(clock() + timedelta(days=10_000)) == 0
    assert not rows(b"SELECT FROM retention_run WHERE kind <> 'browser_consents'")
