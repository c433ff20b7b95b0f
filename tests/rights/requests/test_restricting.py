"""A request limits the use of exactly what was proven: one address, or the contact."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center import contacts
from preference_center.contacts.rules.account import is_restricted
from preference_center.contacts.rules.contact import Contact, ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.infra.context import services
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.asking import ADA, CONTROLS, ask

WORK = parse_address("ada@work.example", Channel.EMAIL)
CONTACT = IdentityLevel.CONTACT


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    put_in_force(app, CATALOGUE)
    with app.app_context():
        put(ADA, WORK)
        yield


def put(*addresses: Address) -> None:
    origin = RequestOrigin("test", "test", services().now())
    contacts.upsert_contacts([ContactUpdate(external_id="c-1", addresses=addresses)], origin)


def stored() -> Contact:
    return contacts.load_contacts([ContactRef(address=ADA)]).find(ContactRef(address=ADA))


def restricted() -> set[Address]:
    both = (ADA, WORK)
    facts = load_exact_facts(list(both))
    return {each for each, known in zip(both, facts, strict=True) if is_restricted(known)}


def test_control_of_one_address_limits_that_one() -> None:
    done = ask(RequestKind.RESTRICT, level=CONTROLS)
    assert done.outcome is RequestOutcome.FULFILLED
    assert restricted() == {ADA}
    assert stored().restricted_at is None
    assert ask(RequestKind.RESTRICT, level=CONTROLS).outcome is RequestOutcome.ALREADY_SO


def test_it_ends_that_of_the_same_address(clock: Clock) -> None:
    ask(RequestKind.RESTRICT, level=CONTROLS)
    clock.advance(timedelta(minutes=1))
    other = ask(RequestKind.UNRESTRICT, level=CONTROLS, addresses=(WORK,))
    assert other.outcome is RequestOutcome.ALREADY_SO
    assert restricted() == {ADA}
    assert ask(RequestKind.UNRESTRICT, level=CONTROLS).outcome is RequestOutcome.FULFILLED
    assert restricted() == set()


def test_proof_of_the_contact_limits_all_of_it(clock: Clock) -> None:
    ask(RequestKind.RESTRICT, level=CONTACT)
    assert restricted() == {ADA, WORK}
    clock.advance(timedelta(minutes=1))
    ask(RequestKind.UNRESTRICT, level=CONTROLS)
    assert restricted() == {WORK}
    assert stored().restricted_at is not None  # what another address asked for stays
    clock.advance(timedelta(minutes=1))
    ask(RequestKind.UNRESTRICT, level=CONTACT)
    assert restricted() == set()
    assert stored().restricted_at is None


@pytest.mark.parametrize("kind", [RequestKind.RESTRICT, RequestKind.ACCESS])
def test_an_id_of_the_company_names_the_contact_and_takes_its_proof(kind: RequestKind) -> None:
    asked = ask(kind, addresses=(), external_ids=("c-1",), level=CONTROLS)
    assert asked.state is RequestState.RECEIVED
    assert asked.required_level is CONTACT
    assert restricted() == set()
