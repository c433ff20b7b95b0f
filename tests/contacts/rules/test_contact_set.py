"""Who is one person: upserts, closings and merges in a book, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from preference_center.contacts.rules.contact import (
    MAX_ADDRESSES,
    AccountState,
    Contact,
    ContactRef,
    ContactSet,
    ContactUpdate,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    UnknownContact,
)
from tests.core.histories import NOW

ADA, GRACE, MARY = (
    parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)


def contact(number: int, *addresses: Address, **given: Any) -> Contact:
    fields: dict[str, Any] = {"version": 1, "addresses": frozenset(addresses), **given}
    return Contact(UUID(int=number), **fields)


def called(*external_ids: str) -> frozenset[str]:
    return frozenset(external_ids)


ONE = contact(1, ADA, external_ids=called("c-1"), locale="it")
TWO = contact(2, GRACE, external_ids=called("c-2"))
NEW = UUID(int=9)


def test_somebody_unknown_becomes_a_contact() -> None:
    book = ContactSet.from_contacts([])
    made = book.upsert(ContactUpdate("c-9", "de-AT", (ADA,)), NEW)
    assert made == Contact(NEW, AccountState.OPEN, "de-AT", called("c-9"), frozenset({ADA}))
    assert (book.changed_contacts(), book.new_addresses()) == ([made], [ADA])


@pytest.mark.parametrize(
    "profile",
    [ContactUpdate("c-1"), ContactUpdate(addresses=(ADA,)), ContactUpdate("c-1", "it", (ADA,))],
)
def test_what_is_known_already_changes_nothing(profile: ContactUpdate) -> None:
    book = ContactSet.from_contacts([ONE])
    assert book.upsert(profile, NEW) == ONE
    assert (book.changed_contacts(), book.new_addresses()) == ([], [])


def test_what_is_not_given_stays_and_what_is_given_is_added() -> None:
    book = ContactSet.from_contacts([ONE])
    written = book.upsert(ContactUpdate("c-1", addresses=(MARY,)), NEW)
    assert (written.locale, written.addresses) == ("it", frozenset({ADA, MARY}))
    assert book.upsert(ContactUpdate(locale="fr", addresses=(MARY,)), NEW).locale == "fr"


def test_a_later_row_sees_what_an_earlier_one_did() -> None:
    book = ContactSet.from_contacts([])
    first = book.upsert(ContactUpdate("c-9", addresses=(ADA,)), NEW)
    second = book.upsert(ContactUpdate(addresses=(ADA, MARY)), UUID(int=10))
    assert second.id == first.id
    assert len(book.changed_contacts()) == 1


def test_an_external_id_is_given_to_a_contact_that_has_none() -> None:
    book = ContactSet.from_contacts([contact(3, MARY)])
    assert book.upsert(ContactUpdate("c-3", addresses=(MARY,)), NEW).external_ids == {"c-3"}


def test_an_address_belongs_to_one_contact_at_most() -> None:
    book = ContactSet.from_contacts([ONE, TWO])
    with pytest.raises(AddressConflict) as taken:
        book.upsert(ContactUpdate("c-1", addresses=(MARY, GRACE)), NEW)
    assert taken.value.index == 1
    with pytest.raises(AddressConflict):
        book.upsert(ContactUpdate(addresses=(ADA, GRACE)), NEW)
    assert book.changed_contacts() == []


def test_an_address_is_not_handed_on_with_a_new_external_id() -> None:
    with pytest.raises(ExternalIdConflict):
        ContactSet.from_contacts([ONE]).upsert(ContactUpdate("c-7", addresses=(ADA,)), NEW)


def test_a_contact_with_absurdly_many_addresses_is_refused() -> None:
    many = tuple(
        parse_address(f"a{n}@example.com", Channel.EMAIL) for n in range(MAX_ADDRESSES + 1)
    )
    with pytest.raises(InvalidInput):
        ContactSet.from_contacts([]).upsert(ContactUpdate("c-9", addresses=many), NEW)


def test_nothing_is_kept_of_somebody_erased() -> None:  # I6
    book = ContactSet.from_contacts([contact(1, ADA, account=AccountState.ERASED)])
    book.upsert(ContactUpdate("c-1", "it", (ADA, MARY)), NEW)
    assert (book.changed_contacts(), book.new_addresses()) == ([], [])


def test_an_address_linked_while_the_account_is_closed_is_closed_too() -> None:  # I4
    shut = contact(1, ADA, account=AccountState.DEACTIVATED)
    book = ContactSet.from_contacts([shut])
    written = book.upsert(ContactUpdate(addresses=(ADA, MARY)), NEW)
    assert [*book.newly_closed()] == [(written, MARY)]


def test_closing_an_account_closes_every_address_once() -> None:
    book = ContactSet.from_contacts([contact(1, MARY, ADA)])
    shut = book.deactivate(book.find(ContactRef(UUID(int=1))))
    assert [*book.newly_closed()] == [(shut, ADA), (shut, MARY)]
    assert [*book.newly_reopened()] == []
    again = ContactSet.from_contacts([shut])
    again.deactivate(shut)
    assert ([*again.newly_closed()], again.changed_contacts()) == ([], [])


def test_reopening_opens_every_address() -> None:
    book = ContactSet.from_contacts([contact(1, ADA, account=AccountState.DEACTIVATED)])
    opened = book.reopen(book.find(ContactRef(address=ADA)))
    assert opened.account is AccountState.OPEN
    assert ([*book.newly_reopened()], [*book.newly_closed()]) == ([(opened, ADA)], [])


def test_somebody_erased_is_not_reopened() -> None:
    with pytest.raises(InvalidInput, match="erased"):
        ContactSet.from_contacts([]).reopen(contact(1, account=AccountState.ERASED))


def test_two_become_one_who_is_found_by_all_that_either_was() -> None:
    book = ContactSet.from_contacts([ONE, TWO])
    survivor = book.merge(ONE, TWO)
    assert (survivor.id, survivor.locale) == (TWO.id, "it")
    names = [ContactRef(external_id=name) for name in ("c-1", "c-2")]
    for named in (ContactRef(ONE.id), ContactRef(TWO.id), ContactRef(address=ADA), *names):
        assert book.find(named) == survivor
    assert (book.changed_contacts(), book.survivors_by_id()) == ([survivor], {ONE.id: TWO.id})


def test_of_two_states_the_more_restrictive_wins() -> None:
    book = ContactSet.from_contacts([ONE, contact(2, GRACE, account=AccountState.DEACTIVATED)])
    survivor = book.merge(book.find(ContactRef(TWO.id)), ONE)
    assert survivor.account is AccountState.DEACTIVATED
    assert [*book.newly_closed()] == [(survivor, ADA)]  # the other was closed before
    assert max(AccountState, key=lambda account: account.rank) is AccountState.ERASED


def test_merging_twice_in_a_row_leads_to_the_last_survivor() -> None:
    book = ContactSet.from_contacts([ONE, TWO, contact(3, MARY)])
    book.merge(ONE, TWO)
    last = book.merge(book.find(ContactRef(ONE.id)), book.find(ContactRef(address=MARY)))
    assert book.find(ContactRef(ONE.id)) == last
    assert book.survivors_by_id() == {ONE.id: last.id, TWO.id: last.id}
    assert book.merge(last, last) == last


def test_somebody_erased_is_not_merged() -> None:
    book = ContactSet.from_contacts([ONE, contact(2, account=AccountState.ERASED)])
    with pytest.raises(InvalidInput, match="erased"):
        book.merge(ONE, book.find(ContactRef(TWO.id)))


@pytest.mark.parametrize("erased", [{ADA}, {GRACE}, {ADA, GRACE}])
def test_the_closed_account_of_an_erased_address_is_not_merged(erased: set[Address]) -> None:  # I6
    one, two = contact(1, ADA, account=AccountState.DEACTIVATED), contact(2, GRACE)
    contacts = ContactSet.from_contacts([one, two], erased=frozenset(erased))
    with pytest.raises(InvalidInput, match="erased"):
        contacts.merge(one, two)


def test_who_is_unknown_is_reported_so() -> None:
    for named in (ContactRef(NEW), ContactRef(None, "c-8"), ContactRef(address=ADA)):
        with pytest.raises(UnknownContact):
            ContactSet.from_contacts([TWO]).find(named)


def test_nothing_personal_shows_in_a_traceback() -> None:  # I12
    shown = repr(ONE) + repr(ContactUpdate("c-1", addresses=(ADA,))) + repr(ContactRef(None, "c-1"))
    assert "ada@" not in shown
    assert "c-1" not in shown + repr(ContactSet.from_contacts([ONE]))


# --- restrictions


def test_a_restriction_is_independent_of_the_account() -> None:
    book = ContactSet.from_contacts([contact(1, ADA, account=AccountState.DEACTIVATED)])
    restricted = book.restrict(book.find(ContactRef(address=ADA)), NOW)
    assert (restricted.account, restricted.restricted_at) == (AccountState.DEACTIVATED, NOW)
    assert book.reopen(restricted).restricted_at == NOW
    assert book.unrestrict(restricted) == replace(restricted, restricted_at=None)
    assert book.unrestrict(ONE) == ONE


def test_a_restriction_begins_once() -> None:  # I7
    book = ContactSet.from_contacts([contact(1, ADA, restricted_at=NOW)])
    again = book.restrict(book.find(ContactRef(address=ADA)), NOW + timedelta(hours=1))
    assert (again.restricted_at, book.changed_contacts()) == (NOW, [])


def test_somebody_erased_is_not_restricted() -> None:  # nothing of theirs is used
    erased = contact(1, ADA, account=AccountState.ERASED)
    assert ContactSet.from_contacts([erased]).restrict(erased, NOW) == erased


def test_an_address_linked_while_the_contact_is_restricted_is_restricted_too() -> None:
    book = ContactSet.from_contacts([contact(1, ADA, restricted_at=NOW)])
    written = book.upsert(ContactUpdate(addresses=(ADA, MARY)), NEW)
    assert [*book.newly_restricted()] == [(written, MARY)]


def test_of_two_restrictions_the_earlier_counts_for_both() -> None:
    later = contact(2, GRACE, restricted_at=NOW + timedelta(hours=1))
    book = ContactSet.from_contacts([contact(1, ADA, restricted_at=NOW), later, contact(3, MARY)])
    survivor = book.merge(book.find(ContactRef(UUID(int=1))), later)
    assert survivor.restricted_at == NOW
    last = book.merge(survivor, book.find(ContactRef(UUID(int=3))))
    assert (last.restricted_at, last.account) == (NOW, AccountState.OPEN)
    assert (last, MARY) in [*book.newly_restricted()]


# --- people who were erased and came back (I6)


def test_an_address_that_returned_belongs_to_a_new_contact() -> None:
    erased = contact(1, ADA, account=AccountState.ERASED, external_ids=called("c-1"))
    book = ContactSet.from_contacts([erased])
    fresh = book.replace_erased(ADA, NEW)
    assert fresh == Contact(NEW, addresses=frozenset({ADA}))
    assert book.find(ContactRef(address=ADA)) == fresh
    assert book.find(ContactRef(None, "c-1")).account is AccountState.ERASED
    assert (book.new_addresses(), [*book.newly_reopened()]) == ([ADA], [(fresh, ADA)])
    assert book.new_address_links() == [(ADA, NEW)]


def test_a_restriction_outlives_an_erasure() -> None:
    erased = contact(1, ADA, account=AccountState.ERASED, restricted_at=NOW)
    assert ContactSet.from_contacts([erased]).replace_erased(ADA, NEW).restricted_at == NOW


def test_who_was_not_erased_is_not_replaced() -> None:
    assert ContactSet.from_contacts([ONE]).replace_erased(ADA, NEW) == ONE
    closed = replace(ONE, account=AccountState.DEACTIVATED)
    assert ContactSet.from_contacts([closed]).replace_erased(ADA, NEW) == ONE
    unknown = ContactSet.from_contacts([]).replace_erased(ADA, NEW)
    assert unknown == Contact(NEW, addresses=frozenset({ADA}))


def test_the_external_id_of_somebody_erased_passes_to_who_has_the_address() -> None:
    erased = contact(1, GRACE, account=AccountState.ERASED, external_ids=called("c-1"))
    book = ContactSet.from_contacts([erased, contact(2, ADA)])
    written = book.upsert(ContactUpdate("c-1", addresses=(ADA, MARY)), NEW)
    assert (written.id, written.external_ids) == (UUID(int=2), called("c-1"))
    assert book.find(ContactRef(None, "c-1")) == written
    assert book.new_external_ids() == [("c-1", UUID(int=2))]
    assert book.find(ContactRef(address=GRACE)).external_ids == frozenset()


def test_without_such_an_address_it_stays_with_the_erased_contact() -> None:
    erased = contact(1, ADA, account=AccountState.ERASED, external_ids=called("c-1"))
    book = ContactSet.from_contacts([erased])
    for addresses in ((), (ADA,), (MARY,)):
        assert book.upsert(ContactUpdate("c-1", "it", addresses), NEW) == erased
    assert (book.changed_contacts(), book.new_external_ids()) == ([], [])


def test_a_contact_with_an_id_of_its_own_takes_over_none() -> None:
    erased = contact(1, account=AccountState.ERASED, external_ids=called("c-7"))
    book = ContactSet.from_contacts([erased, ONE])
    with pytest.raises(ExternalIdConflict):
        book.upsert(ContactUpdate("c-7", addresses=(ADA,)), NEW)


def test_an_address_of_somebody_erased_is_linked_to_nobody() -> None:
    erased = contact(2, GRACE, account=AccountState.ERASED)
    book = ContactSet.from_contacts([ONE, erased])
    written = book.upsert(ContactUpdate("c-1", addresses=(GRACE, MARY)), NEW)
    assert written.addresses == {ADA, MARY}
    assert book.new_addresses() == [MARY]


def test_what_is_known_by_an_erased_address_only_is_not_stored() -> None:  # I6
    contacts = ContactSet.from_contacts([], erased=frozenset({ADA}))
    found = contacts.upsert(ContactUpdate("c-1", "it", (ADA,)), UUID(int=7))
    assert found.account is AccountState.ERASED
    assert contacts.changed_contacts() == []
    assert contacts.current(found) == found


def test_an_erased_address_is_left_out_of_a_contact_that_is_known_otherwise() -> None:  # I6
    known = contact(1, external_ids=called("c-1"))
    contacts = ContactSet.from_contacts([known], erased=frozenset({ADA}))
    found = contacts.upsert(ContactUpdate("c-1", "it", (ADA, GRACE)), UUID(int=7))
    assert (found.id, found.locale, found.addresses) == (known.id, "it", frozenset({GRACE}))


def test_an_erased_address_hands_its_contact_to_nobody() -> None:  # I6
    """It was closed by this address after the erasure: what else is known does not get there."""
    closed = contact(1, ADA, account=AccountState.DEACTIVATED)
    contacts = ContactSet.from_contacts([closed], erased=frozenset({ADA}))
    found = contacts.upsert(ContactUpdate("c-1", "it", (ADA,)), UUID(int=7))
    assert found == closed
    assert contacts.changed_contacts() == []


def test_an_account_is_closed_by_an_erased_address() -> None:  # I4
    contacts = ContactSet.from_contacts([], erased=frozenset({ADA}))
    made = contacts.deactivate(contacts.replace_erased(ADA, UUID(int=7)))
    assert [*contacts.newly_closed()] == [(made, ADA)]
