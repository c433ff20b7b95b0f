"""Which addresses are one contact's, after corrections and merges."""

from __future__ import annotations

from simulation.accounts import Accounts
from simulation.people import Form

A, B, C = (Form(1, "alias", text) for text in ("a@gmail.com", "b@gmail.com", "c@gmail.com"))


def test_two_contacts_become_one_with_the_addresses_of_both() -> None:
    accounts = Accounts()
    for form in (A, B):
        accounts.open(form)
    accounts.link(A, C)

    accounts.merge(A, B)

    assert accounts.of(A) == accounts.of(B) == accounts.of(C) == [A, B, C]


def test_an_undone_correction_unlinks_its_address_from_what_the_contact_was_merged_into() -> None:
    accounts = Accounts()
    for form in (A, B):
        accounts.open(form)
    linked = accounts.link(A, C)
    accounts.merge(A, B)

    accounts.leave(C, linked)

    assert accounts.of(A) == [A, B]
    assert not accounts.has(C)


def test_an_address_that_has_another_contact_since_stays_there() -> None:
    accounts = Accounts()
    accounts.open(A)
    linked = accounts.link(A, C)
    accounts.leave(C)
    accounts.open(C)

    accounts.leave(C, linked)

    assert accounts.has(C)
