"""Finding a person: exactly, with a reason, and never without a record of the look."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, mask_address, parse_address
from preference_center.core.events import format_receipt_code
from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.web.console.looks import list_person_accesses
from tests.contacts.console.people import ADA, HOSTILE, find, open_person, say
from tests.in_force import put_in_force
from tests.rights.erasing import erase
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.core.staff import StaffAccess
    from tests.clock import Clock

WORK = parse_address("ada@work.example", Channel.EMAIL)
PHONE = parse_address("+393331234567", Channel.SMS)


@pytest.fixture
def support(app: Flask) -> Staff:
    put_in_force(app)
    return staff(app, Role.SUPPORT)


def looks(app: Flask) -> list[StaffAccess]:
    with app.app_context():
        return run_in_transaction(lambda c: list_person_accesses(c, services().keys, ADA))


def link_contact(app: Flask) -> None:
    with app.app_context():
        origin = RequestOrigin("test", "test", services().now())
        upsert_contacts([ContactUpdate("crm-4711", None, (ADA, WORK, PHONE))], origin)


def test_a_look_is_recorded_with_its_reason_before_anything_is_shown(
    app: Flask, support: Staff
) -> None:
    answer = find(support, "Ada@Example.com ", "complaint", "SUP-12")
    assert answer.status_code == 303
    before, _, look_id = answer.headers["Location"].rpartition("/")
    assert "ada" not in before.lower()  # I12
    assert str(UUID(look_id)) == look_id
    (look,) = looks(app)
    assert (look.actor, look.reason, look.reference) == ("console:grace", "complaint", "SUP-12")
    page = support.get(answer.headers["Location"])
    assert "ada@example.com" in words(page)
    assert "ada@example.com" not in page.get_data(as_text=True).partition("</title>")[0]


def test_an_address_that_nobody_has_opens_a_page_that_says_so(support: Staff) -> None:
    page = words(support.get(open_person(support, "nobody@example.com")))
    assert "Nothing is recorded about this address." in page


def test_without_a_reason_or_with_an_address_as_reference_nothing_is_shown(
    app: Flask, support: Staff
) -> None:
    for reason, reference in (("", ""), ("curious", ""), ("called", "ada@example.com")):
        answer = find(support, ADA.exact, reason, reference)
        assert answer.status_code == 422
        assert "ada@example.com" in answer.get_data(as_text=True)  # as it was entered
    assert not looks(app)


@pytest.mark.parametrize(
    "typed", ["", "ada@", "ada@example.com, bob@example.com", "crm-1", HOSTILE]
)
def test_what_finds_nobody_is_shown_again_with_what_to_do(support: Staff, typed: str) -> None:
    answer = find(support, typed)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.get_data(as_text=True)
    assert HOSTILE not in answer.get_data(as_text=True)


def test_other_forms_of_the_mailbox_are_not_found(app: Flask, support: Staff) -> None:
    say(app)
    page = words(support.get(open_person(support, "ada+shop@example.com")))  # I9
    assert "Nothing is recorded about this address." in page
    assert "by another form of the same mailbox" in page


def test_a_reference_an_external_id_and_a_phone_number_find_the_same_person(
    app: Flask, support: Staff
) -> None:
    event = say(app)
    link_contact(app)
    for typed in (format_receipt_code(event).lower(), "crm-4711"):
        assert "ada@example.com" in words(support.get(open_person(support, typed)))
    assert "+393331234567" in words(support.get(open_person(support, "+39 333 123 4567")))
    assert "+393331234567" in words(support.get(open_person(support, "333 1234567")))  # the region


def test_who_was_erased_is_found_by_their_address_only(app: Flask, support: Staff) -> None:  # I6
    reference = format_receipt_code(say(app))
    with app.app_context():
        erase(ADA)
    assert "This person was erased" in words(find(support, reference))
    assert reference in words(support.get(open_person(support)))


def test_another_address_of_the_person_is_one_more_look(app: Flask, support: Staff) -> None:
    link_contact(app)
    path = open_person(support)
    page = words(support.get(path))
    assert mask_address(WORK) in page
    assert WORK.exact not in page
    answer = support.post(f"{path}/addresses", number="0")
    assert WORK.exact in words(support.get(answer.headers["Location"]))
    assert answer.headers["Location"] != path
    assert support.post(f"{path}/addresses", number="7").status_code == 404


def test_the_page_is_open_to_the_one_who_looked_for_an_hour(
    app: Flask, clock: Clock, support: Staff
) -> None:
    path = open_person(support)
    other = staff(app, Role.SUPPORT, name="alan").get(path)
    assert other.status_code == 410
    assert "Look the person up again" in words(other)
    assert ADA.exact not in other.get_data(as_text=True)
    clock.advance(timedelta(minutes=29))
    assert mask_address(ADA) in words(support.get("/console/people"))
    assert support.get(path).status_code == 200
    clock.advance(timedelta(minutes=29))
    assert support.get(path).status_code == 200
    clock.advance(timedelta(minutes=2))
    assert support.get(path).status_code == 410
    assert mask_address(ADA) not in words(support.get("/console/people"))
