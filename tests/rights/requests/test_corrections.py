"""Requests for correction: another address, and a consent that was never given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput, UnknownEvent
from preference_center.core.events import EventKind, format_receipt_code
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.requests.correct import (
    correct_address,
    retract_consent,
)
from preference_center.rights.requests.handle import open_request
from preference_center.rights.requests.steps import list_steps, load_request
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.clock import START
from tests.in_force import put_in_force
from tests.ledger.changes import change
from tests.rights.access_file.people import DAY

OLD, NEW, GRACE = (
    parse_address(f"{name}.example", Channel.EMAIL) for name in ("ada@old", "ada@new", "grace@old")
)
FIRST, SECOND = (UUID(int=n << 100) for n in (1, 2))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        put_in_force(app)
        yield


def ask(*addresses: Address, **given: Any) -> RightsRequest:
    fields: dict[str, Any] = {"kind": RequestKind.CORRECT, "level": IdentityLevel.CONTROLS_ADDRESS}
    return open_request(
        NewRequest(via=RequestVia.PAGE, language="en", addresses=addresses, **fields | given)
    )


def consents(who: Address) -> list[UUID]:
    return [f.state.consent.event for f in load_exact_facts([who])[0] if f.state.consent]


def actions(request: RightsRequest) -> list[str]:
    return [step.action for step in list_steps(request.id)]


def test_the_address_is_moved_and_the_request_done_together() -> None:
    request = ask(OLD)
    done = correct_address(request.id, NEW, actor="person")
    assert done.request_id == request.id
    assert load_request(request.id).state is RequestState.DONE
    assert correct_address(request.id, NEW, actor="person") == done
    assert actions(request) == ["received", "done"]


def test_both_addresses_may_be_named() -> None:
    request = ask(OLD, NEW, level=IdentityLevel.CONTACT)
    assert correct_address(request.id, NEW, actor="cli").request_id == request.id


def test_nothing_is_moved_before_identity_is_proven() -> None:
    request = ask(OLD, level=IdentityLevel.NONE)
    with pytest.raises(InvalidInput):
        correct_address(request.id, NEW, actor="person")
    assert load_exact_facts([OLD]) == [()]


def test_a_request_for_something_else_corrects_nothing() -> None:
    request = ask(OLD, kind=RequestKind.ACCESS)
    with pytest.raises(InvalidInput):
        correct_address(request.id, NEW, actor="person")
    with pytest.raises(InvalidInput):
        retract_consent(request.id, format_receipt_code(FIRST), actor="cli")


def test_a_consent_that_was_never_given_is_retracted_and_no_other() -> None:  # I5
    consent = change(0, EventKind.CONSENTED, address=OLD, at=START - 9 * DAY)
    older = change(0, EventKind.CONSENTED, address=OLD, at=START - 99 * DAY)
    record([replace(consent, id=FIRST), replace(older, id=SECOND)])
    request = ask(OLD)
    for _ in range(2):
        assert retract_consent(request.id, format_receipt_code(FIRST), actor="cli").id == FIRST
    assert consents(OLD) == [SECOND]
    assert actions(request) == ["received", "consent_retracted"]
    assert load_request(request.id).state is RequestState.OPEN


def test_an_opt_out_is_never_retracted_as_a_consent() -> None:  # I5
    record([replace(change(0, address=OLD), id=FIRST)])
    request = ask(OLD)
    with pytest.raises(InvalidInput):
        retract_consent(request.id, format_receipt_code(FIRST), actor="cli")
    assert load_exact_facts([OLD])[0][0].state.is_suppressed


def test_somebody_elses_consent_is_not_found() -> None:  # I9
    record([replace(change(0, EventKind.CONSENTED, address=GRACE), id=FIRST)])
    request = ask(OLD)
    with pytest.raises(UnknownEvent):
        retract_consent(request.id, format_receipt_code(FIRST), actor="cli")
    assert consents(GRACE) == [FIRST]
