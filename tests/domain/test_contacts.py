"""Who is one person: upserts, closings and merges in a book, without a database."""

from __future__ import annotations

from uuid import UUID

import pytest

from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.contacts import (
    MAX_ADDRESSES,
    Contact,
    ContactRef,
    ContactSet,
    ContactState,
    ContactUpdate,
)
from preference_center.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    UnknownContact,
)

ADA, GRACE, MARY = (
    parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)


def contact(number: int, *addresses: Address, **given: object) -> Contact:
    fields = {"version": 1, "addresses": frozenset(addresses)} | given
    return Contact(UUID(int=number), **fields)  # type: ignore[arg-type]


def called(*external_ids: str) -> frozenset[str]:
    return frozenset(external_ids)


ONE = contact(1, ADA, external_ids=called("c-1"), locale="it")
TWO = contact(2, GRACE, external_ids=called("c-2"))
NEW = UUID(int=9)


def test_somebody_unknown_becomes_a_contact() -> None:
    book = ContactSet.from_contacts([])
    made = book.upsert(ContactUpdate("c-9", "de-AT", (ADA,)), NEW)
    assert made == Contact(NEW, ContactState.ACTIVE, "de-AT", called("c-9"), frozenset({ADA}))
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
    book = ContactSet.from_contacts([contact(1, ADA, state=ContactState.ERASED)])
    book.upsert(ContactUpdate("c-1", "it", (ADA, MARY)), NEW)
    assert (book.changed_contacts(), book.new_addresses()) == ([], [])


def test_an_address_linked_while_the_account_is_closed_is_closed_too() -> None:  # I4
    shut = contact(1, ADA, state=ContactState.DEACTIVATED)
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
    book = ContactSet.from_contacts([contact(1, ADA, state=ContactState.DEACTIVATED)])
    opened = book.reopen(book.find(ContactRef(address=ADA)))
    assert opened.state is ContactState.ACTIVE
    assert ([*book.newly_reopened()], [*book.newly_closed()]) == ([(opened, ADA)], [])


@pytest.mark.parametrize("state", [ContactState.RESTRICTED, ContactState.ERASED])
def test_only_a_closed_account_is_reopened(state: ContactState) -> None:
    with pytest.raises(InvalidInput, match=state.value):
        ContactSet.from_contacts([]).reopen(contact(1, state=state))


def test_two_become_one_who_is_found_by_all_that_either_was() -> None:
    book = ContactSet.from_contacts([ONE, TWO])
    survivor = book.merge(ONE, TWO)
    assert (survivor.id, survivor.locale) == (TWO.id, "it")
    names = [ContactRef(external_id=name) for name in ("c-1", "c-2")]
    for named in (ContactRef(ONE.id), ContactRef(TWO.id), ContactRef(address=ADA), *names):
        assert book.find(named) == survivor
    assert (book.changed_contacts(), book.survivors_by_id()) == ([survivor], {ONE.id: TWO.id})


def test_of_two_states_the_more_restrictive_wins() -> None:
    book = ContactSet.from_contacts([ONE, contact(2, GRACE, state=ContactState.DEACTIVATED)])
    survivor = book.merge(book.find(ContactRef(TWO.id)), ONE)
    assert survivor.state is ContactState.DEACTIVATED
    assert [*book.newly_closed()] == [(survivor, ADA)]  # the other was closed before
    assert max(ContactState, key=lambda state: state.rank) is ContactState.ERASED


def test_merging_twice_in_a_row_leads_to_the_last_survivor() -> None:
    book = ContactSet.from_contacts([ONE, TWO, contact(3, MARY)])
    book.merge(ONE, TWO)
    last = book.merge(book.find(ContactRef(ONE.id)), book.find(ContactRef(address=MARY)))
    assert book.find(ContactRef(ONE.id)) == last
    assert book.survivors_by_id() == {ONE.id: last.id, TWO.id: last.id}
    assert book.merge(last, last) == last


def test_somebody_erased_is_not_merged() -> None:
    book = ContactSet.from_contacts([ONE, contact(2, state=ContactState.ERASED)])
    with pytest.raises(InvalidInput, match="erased"):
        book.merge(ONE, book.find(ContactRef(TWO.id)))


def test_who_is_unknown_is_reported_so() -> None:
    for named in (ContactRef(NEW), ContactRef(None, "c-8"), ContactRef(address=ADA)):
        with pytest.raises(UnknownContact):
            ContactSet.from_contacts([TWO]).find(named)


def test_nothing_personal_shows_in_a_traceback() -> None:  # I12
    shown = repr(ONE) + repr(ContactUpdate("c-1", addresses=(ADA,))) + repr(ContactRef(None, "c-1"))
    assert "ada@" not in shown
    assert "c-1" not in shown + repr(ContactSet.from_contacts([ONE]))
