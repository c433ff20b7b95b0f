"""Restrictions of contacts on real tables: what the ledger has, and what may be sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.contacts import WrittenContact
from preference_center.contacts.rules.account import NOTICE_PERIOD, EndNotice
from preference_center.contacts.rules.contact import (
    AccountState,
    Contact,
    ContactRef,
    ContactUpdate,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidRows
from preference_center.core.events import ALL_MARKETING, RESTRICTION, EventKind
from preference_center.decisions.rules import Decision, DecisionRule, decide
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, together, waiting

HOUR = timedelta(hours=1)
ADA, GRACE, MARY = (
    parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)
TAGGED = parse_address("ada+shop@example.com", Channel.EMAIL)
INVOICE = MessageType("invoice", MessageClass.SERVICE)
WEEKLY = MessageType("weekly", MessageClass.MARKETING, NEWS)
TOPIC = Topic(NEWS, "acme", Channel.EMAIL, TopicDefault.OPT_OUT, "news", {}, {})


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def origin() -> RequestOrigin:
    return RequestOrigin("test", "key:shop", services().now())


def put(*addresses: Address, external_id: str = "c-1") -> Contact:
    update = ContactUpdate(external_id, addresses=addresses)
    return contacts.upsert_contacts([update], origin())[0].contact


def restrict(who: Address, at: datetime | None = None) -> WrittenContact:
    when = at or services().now()
    return contacts.restrict_contacts([(ContactRef(address=who), when)], origin())[0]


def unrestrict(who: Address, at: datetime) -> WrittenContact:
    proof = ConsentEvidence("phone", "Use my data again", "en", at)
    return contacts.unrestrict_contacts([(ContactRef(address=who), proof)], origin())[0]


def end_after_notice(who: Address, sent_at: datetime) -> WrittenContact:
    given = [(ContactRef(address=who), EndNotice(sent_at))]
    return contacts.unrestrict_contacts(given, origin())[0]


def ask(message: MessageType, who: Address) -> Decision:
    topic = TOPIC if message is WEEKLY else None
    return decide(message, topic, load_facts([who])[0], services().now())


def rows(query: str) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())


def kinds() -> list[str]:
    return [row[0] for row in rows("SELECT kind FROM event ORDER BY seq")]


def test_it_stops_marketing_to_every_address_and_no_service_mail() -> None:  # I4
    put(ADA, MARY)
    written = restrict(ADA)
    assert written.is_changed
    assert (written.contact.account, written.contact.restricted_at) == (AccountState.OPEN, START)
    for who in (ADA, MARY, TAGGED):  # I9: a form that no contact has
        assert ask(WEEKLY, who).rule is DecisionRule.RESTRICTED
        assert ask(INVOICE, who).rule is DecisionRule.SERVICE


def test_no_opt_in_ends_it(clock: Clock) -> None:
    put(ADA)
    restrict(ADA)
    clock.advance(HOUR)
    for number, scope in enumerate((NEWS, ALL_MARKETING), 1):
        record([change(number, EventKind.OPTED_IN, scope, address=ADA, at=clock.now)])
    assert ask(WEEKLY, ADA).rule is DecisionRule.RESTRICTED


def test_an_address_that_the_contact_gains_is_restricted_too() -> None:
    put(ADA)
    restrict(ADA)
    put(ADA, MARY)
    assert ask(WEEKLY, MARY).rule is DecisionRule.RESTRICTED


def test_an_address_linked_at_the_same_moment_is_restricted_in_the_end() -> None:
    put(ADA)
    together(lambda: restrict(ADA), lambda: put(ADA, MARY))
    assert [ask(WEEKLY, who).rule for who in (ADA, MARY)] == [DecisionRule.RESTRICTED] * 2


def test_twice_is_once() -> None:  # I7
    put(ADA)
    restrict(ADA)
    assert not restrict(ADA).is_changed
    assert kinds() == ["restricted"]


def test_two_at_once_restrict_once() -> None:  # I7
    put(ADA)
    together(lambda: restrict(ADA), lambda: restrict(ADA))
    assert kinds() == ["restricted"]


def test_whoever_has_but_an_address_becomes_a_contact() -> None:
    assert restrict(MARY).is_changed
    assert ask(WEEKLY, MARY).rule is DecisionRule.RESTRICTED
    with pytest.raises(InvalidRows):
        contacts.restrict_contacts([(ContactRef(None, "c-404"), START)], origin())


def test_the_tools_have_72_hours_from_when_the_company_was_informed() -> None:  # I3
    add_destination("news", NEWS)
    put(ADA)
    restrict(ADA, START - 5 * HOUR)
    assert waiting(ADA) == {"news": START + 67 * HOUR}


def test_its_end_leaves_every_opt_out_as_it_was(clock: Clock) -> None:  # I5
    put(ADA, MARY)
    record([change(1, address=ADA)])
    restrict(ADA)
    clock.advance(HOUR)
    assert unrestrict(ADA, clock.now).is_changed
    assert ask(WEEKLY, ADA).rule is DecisionRule.OPTED_OUT_OF_TOPIC
    assert ask(WEEKLY, MARY).allow
    assert rows("SELECT account, restricted_at FROM contact") == [("open", None)]


def test_the_end_counts_for_every_form_of_the_mailbox(clock: Clock) -> None:  # I9
    add_destination("news", NEWS)
    record([change(1, EventKind.CONSENTED, address=TAGGED)])
    put(ADA)
    restrict(ADA)
    assert waiting(TAGGED).keys() == {"news"}
    rows("UPDATE sync_state SET due_at = NULL, next_at = NULL RETURNING 1")
    clock.advance(HOUR)
    unrestrict(ADA, clock.now)
    assert ask(WEEKLY, TAGGED).allow
    assert rows("SELECT count(*) FROM sync_state WHERE next_at IS NOT NULL") == [(2,)]


def test_an_act_from_before_it_ends_nothing(clock: Clock) -> None:  # I5
    put(ADA)
    clock.advance(HOUR)
    restrict(ADA)
    with pytest.raises(InvalidRows, match="newer act") as refused:
        unrestrict(ADA, clock.now)
    assert refused.value.errors[0].field == "evidence"
    assert ask(WEEKLY, ADA).rule is DecisionRule.RESTRICTED


def test_the_company_ends_it_seven_days_after_it_informed_the_person(clock: Clock) -> None:
    put(ADA)
    restrict(ADA)
    clock.advance(HOUR)
    sent_at = clock.now
    clock.advance(NOTICE_PERIOD - HOUR)
    with pytest.raises(InvalidRows, match="7 days") as refused:
        end_after_notice(ADA, sent_at)
    assert refused.value.errors[0].field == "notice_sent_at"
    clock.advance(HOUR)
    assert end_after_notice(ADA, sent_at).is_changed
    assert ask(WEEKLY, ADA).allow
    found = rows(
        "SELECT evidence FROM event_evidence JOIN event ON event_evidence.event_id = event.id"
        " WHERE kind = 'unrestricted'"
    )  # GDPR art. 18(3)
    assert found == [({"notice_sent_at": sent_at.isoformat()},)]


def test_a_notice_about_an_earlier_restriction_ends_nothing(clock: Clock) -> None:
    put(ADA)
    sent_at = clock.now
    clock.advance(HOUR)
    restrict(ADA)
    clock.advance(NOTICE_PERIOD)
    with pytest.raises(InvalidRows, match="another one"):
        end_after_notice(ADA, sent_at)


def test_who_is_not_restricted_stays_as_they_are() -> None:  # I7
    put(ADA)
    assert not unrestrict(ADA, START).is_changed
    assert kinds() == []


def test_closing_and_reopening_leave_it(clock: Clock) -> None:
    put(ADA)
    restrict(ADA)
    clock.advance(HOUR)
    ref = ContactRef(address=ADA)
    closed = contacts.deactivate_contacts([(ref, clock.now)], origin())[0].contact
    assert (closed.account, closed.restricted_at) == (AccountState.DEACTIVATED, START)
    assert ask(WEEKLY, ADA).rule is DecisionRule.CLOSED
    clock.advance(HOUR)
    proof = ConsentEvidence("counter", "Open it", "en", clock.now)
    reopened = contacts.reopen_contacts([(ref, proof)], origin())[0].contact
    assert (reopened.account, reopened.restricted_at) == (AccountState.OPEN, START)
    assert ask(WEEKLY, ADA).rule is DecisionRule.RESTRICTED


def test_a_restriction_can_end_while_the_account_is_closed(clock: Clock) -> None:
    put(ADA)
    restrict(ADA)
    contacts.deactivate_contacts([(ContactRef(address=ADA), START)], origin())
    clock.advance(HOUR)
    assert unrestrict(ADA, clock.now).contact.account is AccountState.DEACTIVATED
    assert ask(WEEKLY, ADA).rule is DecisionRule.CLOSED


def test_restricted_and_open_make_one_that_is_restricted() -> None:
    put(ADA)
    put(GRACE, external_id="c-2")
    restrict(ADA)
    pair = (ContactRef(address=ADA), ContactRef(address=GRACE))
    survivor = contacts.merge_contacts([pair], origin())[0].contact
    assert (survivor.account, survivor.restricted_at) == (AccountState.OPEN, START)
    assert ask(WEEKLY, GRACE).rule is DecisionRule.RESTRICTED


def test_a_restriction_without_its_contact_can_be_ended_too(clock: Clock) -> None:
    record([change(1, EventKind.RESTRICTED, RESTRICTION, address=ADA)])  # who came back has one
    put(ADA)
    clock.advance(HOUR)
    assert unrestrict(ADA, clock.now).is_changed
    assert ask(WEEKLY, ADA).allow
    assert not unrestrict(ADA, clock.now).is_changed
