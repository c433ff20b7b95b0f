"""Requests for correction: another address, or a consent that the person never gave.

A change of language is a contact update, and needs nothing of its own.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from preference_center.contacts.store import list_addresses
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import InvalidInput, UnknownEvent
from preference_center.core.events import (
    Event,
    EventKind,
    Retraction,
    format_receipt_code,
    parse_receipt_code,
)
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.events import list_events_between, list_events_of
from preference_center.rights.requests import moves
from preference_center.rights.requests.move import InTransaction, move_address
from preference_center.rights.requests.moves import Move
from preference_center.rights.requests.request_steps import (
    SOURCE,
    add_step,
    complete_data_request,
    load_request,
    open_sealed,
)
from preference_center.rights.rules.model import RequestKind, RequestOutcome, RequestState
from preference_center.rights.rules.request import RightsRequest

CONSENT_RETRACTED = "consent_retracted"
"""The step of a request whose person never gave a consent."""
_CONSENTS = {EventKind.OPTED_IN, EventKind.CONSENTED}


def correct_address(
    request_id: UUID, new: Address, *, actor: str, in_transaction: InTransaction | None = None
) -> Move:
    """Move the address of an open request for correction to `new`, and complete the request.

    The caller has made sure that the person controls `new`. A repeat returns the same move.
    `in_transaction` writes what belongs to the same transaction, such as the notice to the old one.
    Raises InvalidInput, also unless the request names exactly one other address, or identity is
    not proven as it needs; AddressConflict where `new` is another contact's; Unavailable.
    """
    request = _require_correction(load_request(request_id))
    if request.state is RequestState.DONE:
        done = run_in_transaction(lambda connection: moves.find_by_request(connection, request_id))
        if done is not None:
            return done
    origin = RequestOrigin(SOURCE, actor, services().now())

    def complete_correction(connection: Connection, move: Move) -> None:
        complete_data_request(request_id, RequestOutcome.FULFILLED, actor, connection=connection)
        if in_transaction:
            in_transaction(connection, move)

    return move_address(
        _old_address(request, new),
        new,
        origin=origin,
        request_id=request_id,
        in_transaction=complete_correction,
    )


def retract_consent(request_id: UUID, reference: str, *, actor: str) -> Event:
    """Retract one consent or opt-in of the people of an open request; all other events stand (I5).

    `reference` is the event's, as the person's file shows it. The request stays open. A repeat
    changes nothing. Raises UnknownEvent where it is none of theirs, InvalidInput where the event
    is no consent or the request is not open, Unavailable.
    """
    request = _require_correction(load_request(request_id))
    if request.state is not RequestState.OPEN:
        raise InvalidInput(f"the request is {request.state}: only an open one can be fulfilled")
    event, is_retracted = run_in_transaction(lambda c: _find_event(c, request, reference))
    if event.kind not in _CONSENTS:
        raise InvalidInput(f"this event is {event.kind}: only consents and opt-ins are retracted")
    if is_retracted:
        return event
    now = services().now()
    retraction = Retraction(
        uuid5(request_id, str(event.id)),
        (event.id,),
        now,
        SOURCE,
        actor,
        {"request": str(request_id)},
    )
    detail = {"event": format_receipt_code(event.id)}

    def add_retraction_step(connection: Connection, _: RecordResult) -> None:
        add_step(connection, request_id, now, actor, CONSENT_RETRACTED, detail)

    record([retraction], add_retraction_step)
    return event


def _require_correction(request: RightsRequest) -> RightsRequest:
    if request.kind is not RequestKind.CORRECT:
        raise InvalidInput(f"this is a request to {request.kind}, not to correct")
    return request


def _old_address(request: RightsRequest, new: Address) -> Address:
    named = [
        restore_address(text, Channel(channel)) for channel, text in open_sealed(request).addresses
    ]
    old = [address for address in named if address != new]
    if len(old) != 1:
        raise InvalidInput("the request has to name exactly one address that is to be corrected")
    return old[0]


def _find_event(
    connection: Connection, request: RightsRequest, reference: str
) -> tuple[Event, bool]:
    """The event with this reference, if it is about exactly one of these people (I9)."""
    first, last = parse_receipt_code(reference)
    theirs = {
        each.id
        for each in list_addresses(
            connection, services().keys, request.subject_digests, request.address_ids
        )
    }
    for event in list_events_between(connection, first, last):
        if event.address_id in theirs:
            return event, event.id in list_events_of(connection, [event.address_id])[1]
    raise UnknownEvent("no event of this person has this reference: compare it with their file")
