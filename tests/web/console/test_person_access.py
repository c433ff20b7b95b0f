"""Looks at people's data: found by id and by exact address, cleared by erasure, in the audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.staff import LOOK_LIFETIME, AccessAction, AccessReason, StaffAccess
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.rules.requests import Extent
from preference_center.web.console.looks import (
    PersonAccess,
    forget_addresses,
    insert_person_access,
    list_person_accesses,
    list_recent_accesses,
    load_person_access,
)
from tests.clock import START
from tests.rights.erasing import ADA, GRACE, NUMBER, erase, rows, store, tables_with

if TYPE_CHECKING:
    from tests.clock import Clock

pytestmark = pytest.mark.usefixtures("in_context")

LOOK = StaffAccess(
    UUID(int=1),
    START,
    "console:grace",
    AccessAction.PERSON_VIEWED,
    AccessReason.CALLED,
    "SUP-4711",
)


def look(address: Address = ADA, number: int = 1, actor: str = LOOK.actor) -> StaffAccess:
    at = START + timedelta(minutes=number - 1)
    access = replace(LOOK, id=UUID(int=number), at=at, actor=actor)
    keys = services().keys
    run_in_transaction(lambda connection: insert_person_access(connection, keys, access, address))
    return access


def load(number: int = 1) -> PersonAccess | None:
    keys = services().keys
    return run_in_transaction(lambda c: load_person_access(c, keys, UUID(int=number)))


def looks_at(address: Address) -> list[StaffAccess]:
    keys = services().keys
    return run_in_transaction(lambda c: list_person_accesses(c, keys, address))


@pytest.mark.parametrize("address", [ADA, NUMBER])
def test_its_id_leads_to_the_address_that_was_looked_up(address: Address) -> None:
    access = look(address)
    assert load() == PersonAccess(access, address)


def test_the_address_is_forgotten_once_it_opens_no_page_any_more() -> None:  # I6
    access, later = look(), look(NUMBER, number=2)
    at = access.at + LOOK_LIFETIME
    assert run_in_transaction(lambda c: forget_addresses(c, at)) == 1
    assert load() is None
    assert load(2) == PersonAccess(later, NUMBER)
    assert looks_at(ADA) == [access]


def test_an_unknown_id_leads_nowhere() -> None:
    assert load() is None


def test_the_address_is_stored_sealed() -> None:  # I12
    look()
    assert "ada@example.com" not in str(rows("SELECT * FROM person_access"))
    assert tables_with("ada@example.com") == {"person_access"}


def test_the_audit_has_who_looked_and_why_but_not_at_whom() -> None:  # I12
    look()
    assert rows("SELECT at, actor, action, detail FROM audit") == [
        (
            START,
            "console:grace",
            "person_viewed",
            {"access": "00000000-0000-0000-0000-000000000001", "reason": "called"},
        )
    ]


def test_the_looks_at_a_person_are_those_at_the_exact_address() -> None:  # I9
    first, second = look(ADA, 1), look(ADA, 2)
    look(parse_address("ada+news@example.com", Channel.EMAIL), 3)
    look(GRACE, 4)
    assert looks_at(ADA) == [first, second]


def test_a_number_that_gets_texts_is_not_the_one_that_gets_calls() -> None:
    look(NUMBER)
    assert looks_at(parse_address(NUMBER.exact, Channel.PHONE)) == []


def test_the_last_looks_are_listed_of_all_and_of_one_actor() -> None:
    first, second, third = look(ADA, 1), look(GRACE, 2, actor="cli:ada"), look(GRACE, 3)
    recent = run_in_transaction(lambda c: list_recent_accesses(c, limit=2))
    of_grace = run_in_transaction(lambda c: list_recent_accesses(c, "console:grace", limit=9))
    assert (recent, of_grace) == ([third, second], [third, first])


@pytest.mark.parametrize("extent", list(Extent))
def test_an_erasure_leaves_who_looked_and_nothing_readable(extent: Extent) -> None:  # I6
    store(ADA)
    access = look(ADA)
    other = look(GRACE, 2)
    erase(ADA, extent=extent)
    assert load() is None
    assert tables_with("SUP-4711") == {"person_access"}  # of the other person
    assert looks_at(ADA) == [replace(access, reference="")]
    assert load(2) == PersonAccess(other, GRACE)


def test_a_person_nobody_had_stored_is_erased_there_too(clock: Clock) -> None:  # I6
    look(ADA)
    clock.advance(timedelta(days=1))
    erase(ADA)
    assert load() is None
