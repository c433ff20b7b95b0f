"""Erasures that are asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EVERYTHING, REPEAT_INTERVAL, EventKind
from preference_center.ledger import record
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change, id_of, retraction
from tests.rights.decisions import WEEKLY, ask
from tests.rights.erasing import (
    ADA,
    NUMBER,
    erase,
    row,
    rows,
    store,
)

BOTH = pytest.mark.parametrize("extent", list(Extent))

SUPPRESSED = {
    Extent.MARKETING: {ALL_MARKETING},
    Extent.ACCOUNT: {ALL_MARKETING, EVERYTHING},
}


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_an_erasure_that_is_repeated_begins_nothing_in_tools_again(clock: Clock) -> None:  # I7
    add_destination("crm", NEWS)
    store(ADA, NUMBER)
    first = erase()
    assert row("SELECT count(*) FROM event") == (4,)
    clock.now += REPEAT_INTERVAL
    assert sorted(erase()) == sorted(first)
    assert row("SELECT count(*) FROM event") == (4,)
    clock.now += timedelta(days=1)
    assert sorted(erase()) == sorted(first)
    assert row("SELECT count(*) FROM event") == (8,)  # what was said in between may be late
    clock.now += timedelta(days=1)
    [(under_way,)] = rows("SELECT id FROM erasure WHERE ciphertext IS NOT NULL")
    assert under_way in first
    assert under_way in erase()
    assert rows("SELECT erasure_id FROM erasure_task") == [(under_way,)]


def test_each_repeat_of_an_erasure_is_an_entry_of_the_journal(clock: Clock) -> None:  # I6
    """A backup from between them has only the first."""
    store(ADA)
    begun = [clock.now + timedelta(days=day) for day in range(3)]
    for clock.now in begun:
        erase()
    erase()  # at once: the same
    found = rows("SELECT entry, begun_at, extent FROM erasure ORDER BY entry")
    assert found == [(number, at, "account") for number, at in enumerate(begun, start=1)]


def test_what_belongs_to_it_is_written_although_nothing_is_left_to_erase() -> None:
    """As when a second request of the person is answered."""
    store(ADA)
    first = erase()
    answered: list[UUID] = []
    erase(in_transaction=lambda _, ids: answered.extend(ids))
    assert answered == first


def test_an_erased_account_still_leads_from_each_of_its_addresses_to_the_others(
    clock: Clock,
) -> None:
    """Also once one of them was erased again, since it was opted in."""
    contact = store(ADA, NUMBER)
    first = erase()
    clock.now += timedelta(days=1)
    record([change(1, EventKind.OPTED_IN, address=ADA, at=clock.now)])
    clock.now += timedelta(days=1)
    assert erase() != first
    links = rows("SELECT address_id FROM contact_address WHERE contact_id = %s", contact.id)
    assert {number for (number,) in links} == {id_of(ADA), id_of(NUMBER)}


@BOTH
def test_a_repeated_erasure_ends_what_another_form_was_opted_in_to_since(
    extent: Extent, clock: Clock
) -> None:  # I5, I9
    store()
    form = parse_address("ada+news@example.com", Channel.EMAIL)
    first = erase(extent=extent)
    clock.now += timedelta(days=1)
    record([change(1, EventKind.OPTED_IN, address=form, at=clock.now, own_act=True)])
    assert ask(WEEKLY, form).allow
    clock.now += timedelta(days=1)

    again = erase(extent=extent)

    assert again != first
    assert not ask(WEEKLY, form).allow
    count = row("SELECT count(*) FROM event")
    assert erase(extent=extent) == again
    assert row("SELECT count(*) FROM event") == count


@BOTH
def test_a_repeated_erasure_counts_from_then_on(
    extent: Extent, clock: Clock
) -> None:  # I5, I6: what was said before it may reach us only later, e.g. in a list
    store()
    [first] = erase(extent=extent)
    said_at = clock.now + timedelta(hours=1)
    clock.now += timedelta(hours=2)
    asked_again = clock.now
    assert erase(extent=extent) == [first]
    clock.now += timedelta(hours=1)
    record(
        [
            change(
                1,
                EventKind.OPTED_IN,
                address=ADA,
                occurred_at=said_at,
                received_at=clock.now,
                evidence={"wording": "Yes"},
            )
        ]
    )
    assert not ask(WEEKLY, ADA).allow
    assert row("SELECT count(*) FROM consent") == (0,)
    opted_out = "SELECT DISTINCT scope, out_at FROM suppression WHERE out_at IS NOT NULL"
    expected = {(scope, asked_again) for scope in SUPPRESSED[extent]}
    assert set(rows(opted_out)) == expected
    record([retraction(2, 1)])  # the state is made again from the events
    assert set(rows(opted_out)) == expected


@BOTH
@pytest.mark.parametrize("kind", [EventKind.OPTED_IN, EventKind.CONSENTED])
def test_a_repeated_erasure_erases_what_was_chosen_since(
    kind: EventKind, extent: Extent, clock: Clock
) -> None:  # I5, I6
    store()
    erase(extent=extent)
    clock.now += timedelta(days=1)
    record([change(1, kind, address=ADA, at=clock.now, evidence={"wording": "Yes"})])
    assert row("SELECT count(*) FROM consent") == (1,)
    assert row("SELECT count(*) FROM event_evidence") == (1,)
    clock.now += timedelta(days=1)
    erase(extent=extent)
    assert not ask(WEEKLY, ADA).allow
    assert row("SELECT count(*) FROM consent") == (0,)
    assert row("SELECT count(*) FROM event_evidence") == (0,)
    assert row("SELECT last_entry FROM erasure_journal") == (2,)  # a restored backup repeats both
