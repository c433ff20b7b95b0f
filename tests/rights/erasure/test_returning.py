"""Coming back after an erasure, by an own act: a new contact, and marketing stays off (I6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.contacts import deactivate_contacts
from preference_center.contacts.rules.contact import AccountState, Contact, ContactRef
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.erasure.store import READABLE_FOR
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, retraction, waiting
from tests.rights.decisions import INVOICE, WEEKLY, ask
from tests.rights.erasing import ADA, GRACE, NUMBER, erase, origin, row, rows, store, tables_with

BOTH = pytest.mark.parametrize("extent", list(Extent))
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def come_back(who: Address = ADA) -> Contact:
    now = services().now()
    proof = ConsentEvidence("page", "I want to come back", "en", now)
    return return_after_erasure(who, proof, origin=origin())


def close(who: Address = ADA) -> None:
    deactivate_contacts([(ContactRef(address=who), services().now())], origin())


@BOTH
def test_the_person_is_readable_again_as_a_new_contact(extent: Extent, clock: Clock) -> None:
    old = store(ADA, NUMBER)
    erase(extent=extent)
    clock.now += DAY
    new = come_back()
    assert new.id != old.id
    assert tables_with("ada@example.com") == {"address"}
    assert row(
        "SELECT contact_id FROM contact_address l JOIN address a ON a.id = l.address_id"
        " WHERE a.digest = %s",
        services().keys.exact_digest(ADA),
    ) == (new.id,)
    assert row(
        "SELECT erased_at FROM address WHERE digest = %s", services().keys.exact_digest(ADA)
    ) == (None,)


@BOTH
def test_service_mail_flows_and_marketing_stays_off(extent: Extent, clock: Clock) -> None:
    store()
    erase(extent=extent)
    clock.now += DAY
    come_back()
    assert ask(INVOICE, ADA).allow
    assert not ask(WEEKLY, ADA).allow


@BOTH
def test_an_account_that_was_closed_since_is_open_again(extent: Extent, clock: Clock) -> None:  # I4
    erase(extent=extent)
    clock.now += DAY
    close()
    clock.now += DAY
    assert come_back().account is AccountState.OPEN
    assert ask(INVOICE, ADA).allow
    clock.now += DAY
    close()
    assert not ask(INVOICE, ADA).allow


def test_what_they_turn_on_afterwards_counts(clock: Clock) -> None:  # I5
    store()
    erase()
    clock.now += DAY
    come_back()
    record([change(1, EventKind.OPTED_IN, address=ADA, at=clock.now)])
    assert ask(WEEKLY, ADA).allow


def test_what_they_chose_before_the_erasure_stays_forgotten(clock: Clock) -> None:  # I6
    store()
    record([change(1, address=ADA, scope=ALL_MARKETING, source="import")])
    record([change(2, EventKind.OPTED_IN, address=ADA)])
    clock.now += DAY
    erase()
    clock.now += DAY
    come_back()
    record([retraction(3, 1)])  # folds the ledger again
    assert rows("SELECT topic FROM consent") == []
    late = change(4, EventKind.CONSENTED, address=ADA)  # of before, from a list
    record([late])
    assert rows("SELECT topic FROM consent") == []
    record([change(5, EventKind.CONSENTED, address=ADA, at=clock.now)])
    assert rows("SELECT topic FROM consent") == [(NEWS,)]


def test_the_other_addresses_of_the_account_stay_erased(clock: Clock) -> None:  # I9
    store(ADA, NUMBER)
    erase()
    clock.now += DAY
    come_back()
    assert tables_with(NUMBER.exact) == set()
    assert not ask(INVOICE, NUMBER).allow


def test_what_was_still_to_be_erased_in_tools_ends(clock: Clock) -> None:
    add_destination("crm", NEWS)
    store()
    erase()
    clock.now += DAY
    come_back()
    assert row("SELECT outcome, next_at FROM erasure_task") == ("returned", None)
    assert row("SELECT ciphertext, finished_at FROM erasure") == (None, clock.now)


def test_tools_are_brought_to_what_is_off_now(clock: Clock) -> None:  # I3
    """They may have been given up for lack of a readable address."""
    add_destination("crm", NEWS)
    store()
    erase()
    clock.now += READABLE_FOR
    tidy_erasures(clock.now)
    assert waiting(ADA) == {}
    come_back()
    due = waiting(ADA)["crm"]
    assert due
    assert due > clock.now


def test_coming_back_is_repeated_without_effect(clock: Clock) -> None:  # I7
    store()
    erase()
    clock.now += DAY
    first = come_back()
    events = row("SELECT count(*) FROM event")
    assert come_back().id == first.id
    assert row("SELECT count(*) FROM event") == events


@BOTH
def test_an_act_from_before_the_erasure_brings_nobody_back(extent: Extent, clock: Clock) -> None:
    store()
    before = services().now()
    clock.now += DAY
    erase(extent=extent)
    proof = ConsentEvidence("page", "I want to come back", "en", before)
    with pytest.raises(InvalidInput, match="newer act"):
        return_after_erasure(ADA, proof, origin=origin())
    assert tables_with("ada@example.com") == set()


def test_nor_does_it_after_an_opt_out_by_an_old_link(clock: Clock) -> None:  # I6
    store()
    before = services().now()
    clock.now += DAY
    erase(extent=Extent.MARKETING)
    clock.now += DAY
    record([change(1, address=ADA, scope=ALL_MARKETING, at=clock.now, own_act=True)])
    proof = ConsentEvidence("page", "I want to come back", "en", before)
    with pytest.raises(InvalidInput, match="newer act"):
        return_after_erasure(ADA, proof, origin=origin())
    assert tables_with("ada@example.com") == set()


def test_who_was_not_erased_has_nothing_to_come_back_to() -> None:
    with pytest.raises(InvalidInput, match="not erased"):
        come_back(GRACE)


def test_who_came_back_can_be_erased_again(clock: Clock) -> None:
    store()
    erase()
    clock.now += DAY
    come_back()
    clock.now += DAY
    assert len(erase()) == 1
    assert tables_with("ada@example.com") == set()
    assert row("SELECT count(*) FROM erasure") == (2,)
    assert not ask(INVOICE, ADA).allow


def test_what_belongs_to_it_is_written_in_the_same_transaction(clock: Clock) -> None:
    store()
    erase()
    clock.now += DAY

    def fail(_: Connection, __: Contact) -> None:
        raise InvalidInput("to be rolled back")

    proof = ConsentEvidence("page", "I want to come back", "en", clock.now)
    with pytest.raises(InvalidInput, match="rolled back"):
        return_after_erasure(ADA, proof, origin=origin(), in_transaction=fail)
    assert tables_with("ada@example.com") == set()


def test_that_somebody_came_back_is_in_the_audit(clock: Clock) -> None:
    store()
    erase()
    clock.now += DAY
    contact = come_back()
    assert rows("SELECT detail FROM audit WHERE action = 'contacts.returned'") == [
        ({"contact": str(contact.id)},)
    ]
