"""Correct an address, or retract a consent that the person never gave, as a request asks.

What the person said at the old address follows them to the new one, in one transaction. The
contact, its addresses and all that was ever said at the old one are read, the changes are
made by the rules of `rights.rules.changes`, and written if nothing has changed meanwhile; else all
of it is repeated, as for contacts.

A change of language is a contact update, and needs nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from preference_center.contacts import load_contacts
from preference_center.contacts import store as contacts
from preference_center.contacts.rules.contact import ContactRef, ContactSet, ContactUpdate
from preference_center.contacts.store import ConcurrentContactUpdate, list_addresses
from preference_center.core import errors
from preference_center.core.addresses import Address
from preference_center.core.events import (
    MOVE_SOURCE,
    Change,
    Event,
    Retraction,
    format_receipt_code,
    parse_receipt_code,
)
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.events import list_events_between, list_events_of
from preference_center.ledger.store.lookup import load_facts
from preference_center.rights.requests import moves, steps
from preference_center.rights.requests.moves import Move
from preference_center.rights.rules.changes import (
    UNDO_PERIOD,
    build_move_changes,
    check_move,
    closings_by_link,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind, RequestOutcome, StepAction

_ATTEMPTS = 5


InTransaction = Callable[[Connection, Move], None]
"""Writes what belongs to the same transaction, such as the request's step; may be repeated."""


@dataclass(frozen=True, slots=True)
class _Correction:
    """What was asked, and by whom."""

    old: Address
    new: Address
    origin: RequestOrigin
    request_id: UUID | None


class _ConcurrentChange(Exception):
    """Something about these addresses was recorded since they were read: read them again."""


def move_address(
    old: Address,
    new: Address,
    *,
    origin: RequestOrigin,
    request_id: UUID | None = None,
    in_transaction: InTransaction | None = None,
) -> Move:
    """Record that the person of `old` has `new` instead.

    Opt-outs, pauses, consents, a restriction and the closing of the account hold for `new`, with
    their own times; `old` gets no marketing any more; its contact, if it has one, has both. A
    repeat while it can be undone returns the same move, and adds what was said at `old` meanwhile;
    later it is another move, with an undo of its own.

    Raises InvalidInput where the two are on different channels, are the same, or one was erased;
    AddressConflict where each has a contact of its own: support merges these; Unavailable.
    """
    check_move(old, new)
    asked = _Correction(old, new, origin, request_id)

    def attempt() -> Move:
        contact_set = _link(asked)
        move, changes = run_in_transaction(lambda connection: _plan(connection, asked))
        return _write(asked, contact_set, move, changes, in_transaction)

    return _repeat_until_unchanged(attempt)


def undo_move(
    move_id: UUID, *, origin: RequestOrigin, in_transaction: InTransaction | None = None
) -> Move:
    """Retract exactly what the move recorded, and unlink the new address where it linked it.

    What the person did at the new address since then stands; but an account that was closed for
    it by that link is open there again. Safe to repeat. Raises InvalidInput if there is no such
    move, or once it can't be undone any more; Unavailable.
    """

    def attempt() -> Move:
        move = run_in_transaction(lambda connection: moves.load_move(connection, move_id))
        if move is None:
            raise errors.InvalidInput("no address was corrected under this id")
        if not move.undone_at and origin.now > move.undo_until:
            raise errors.InvalidInput(
                f"a correction can be undone for {UNDO_PERIOD.days} days: correct the address again"
            )
        return move if move.undone_at else _undo(move, origin, in_transaction)

    return _repeat_until_unchanged(attempt)


def _repeat_until_unchanged(attempt: Callable[[], Move]) -> Move:
    for _ in range(_ATTEMPTS):
        with suppress(ConcurrentContactUpdate, _ConcurrentChange):
            return attempt()
    raise errors.Unavailable(
        "the database is too busy with this address", errors.UnavailableCause.LOCK_TIMEOUT
    )


def _undo(move: Move, origin: RequestOrigin, in_transaction: InTransaction | None) -> Move:
    """Raises _ConcurrentChange where the account was closed or the move repeated meanwhile."""
    undone = replace(move, undone_at=origin.now)
    closings = run_in_transaction(lambda connection: _closings(connection, move))
    retraction = Retraction(
        uuid5(move.id, "undo"),
        (*move.event_ids, *closings),
        origin.now,
        MOVE_SOURCE,
        origin.actor,
        {"move": str(move.id)},
    )

    def write(connection: Connection, _: RecordResult) -> None:
        stored = moves.load_move(connection, move.id, lock=True)
        if stored is None or stored.undone_at:
            return
        moves.undo(connection, move, origin.now)  # locks the contact, so nobody closes it now
        if stored != move or set(_closings(connection, move)) - set(closings):
            raise _ConcurrentChange
        _audit(connection, origin, "rights.move_undone", move)
        if in_transaction:
            in_transaction(connection, undone)

    record([retraction], write)
    return undone


def _closings(connection: Connection, move: Move) -> list[UUID]:
    """The events that closed the new address's account by the link, if the move made one."""
    if move.contact_id is None:
        return []
    events, retracted = list_events_of(connection, [move.to_address_id])
    return closings_by_link(
        move.to_address_id, move.moved_at, [each for each in events if each.id not in retracted]
    )


def _link(asked: _Correction) -> ContactSet:
    """The contact of the old address, if it has one, with both. Raises AddressConflict."""
    contact_set = load_contacts([ContactRef(address=asked.old), ContactRef(address=asked.new)])
    contact, owner = (contact_set.owner(address) for address in (asked.old, asked.new))
    if contact is None:
        return ContactSet({})
    if owner is not None and owner != contact:
        raise errors.AddressConflict(0)
    contact_set.upsert(ContactUpdate(addresses=(asked.old, asked.new)), contact.id)
    return contact_set


def _plan(connection: Connection, asked: _Correction) -> tuple[Move, list[Change]]:
    """The move, the one of before if this is a repeat, and its changes.

    The ids of addresses that are not stored yet are 0.
    """
    context = services()
    rows = moves.find_addresses(connection, context.keys, [asked.old, asked.new])
    if any(row.erased for row in rows.values()):
        raise errors.InvalidInput(
            "one of the two addresses was erased: its person has to come back first"
        )
    old_id, new_id = (rows[a].id if a in rows else 0 for a in (asked.old, asked.new))
    now = asked.origin.now
    move = moves.find_move(connection, old_id, new_id, now) or Move(
        context.new_id(), asked.request_id, old_id, new_id, None, [], now, now + UNDO_PERIOD
    )
    return move, _changes(connection, asked, move)


def _changes(connection: Connection, asked: _Correction, move: Move) -> list[Change]:
    old = moves.find_addresses(connection, services().keys, [asked.old]).get(asked.old)
    events, retracted = list_events_of(connection, [move.from_address_id, move.to_address_id])
    return build_move_changes(
        move.id,
        asked.old,
        asked.new,
        [e for e in events if e.address_id == move.from_address_id and e.id not in retracted],
        load_facts([asked.old], connection)[0],
        {event.id for event in events},
        replace(asked.origin, now=move.moved_at),
        erased_at=old.last_erased_at if old else None,
    )


def _write(
    asked: _Correction,
    contact_set: ContactSet,
    move: Move,
    changes: list[Change],
    in_transaction: InTransaction | None,
) -> Move:
    """Record the changes and the move. Raises _ConcurrentChange and ConcurrentContactUpdate."""
    owner = contact_set.owner(asked.new) if contact_set.new_addresses() else None
    written: list[Move] = []

    def write(connection: Connection, _: RecordResult) -> None:
        keys = services().keys
        rows = moves.find_addresses(connection, keys, [asked.old, asked.new])
        if any(row.erased for row in rows.values()):
            raise _ConcurrentChange
        done = replace(
            move,
            from_address_id=rows[asked.old].id,
            to_address_id=rows[asked.new].id,
            contact_id=owner.id if owner else move.contact_id,
            event_ids=[*dict.fromkeys([*move.event_ids, *(each.id for each in changes)])],
        )
        _ensure_unchanged(connection, asked, done)
        contacts.save_contacts(connection, keys, contact_set, asked.origin.now)
        moves.save_move(connection, done)
        _audit(connection, asked.origin, "rights.address_moved", done)
        if in_transaction:
            in_transaction(connection, done)
        written[:] = [done]

    record(changes, write, known_addresses=[asked.new])
    return written[0]


def _ensure_unchanged(connection: Connection, asked: _Correction, move: Move) -> None:
    """Raise _ConcurrentChange unless all that there is to copy was copied, by this move alone.

    Both addresses are locked: nothing more can be recorded about them.
    """
    ids, now = (move.from_address_id, move.to_address_id), asked.origin.now
    other = moves.find_move(connection, *ids, now)
    if other is not None and other.id != move.id:
        raise _ConcurrentChange
    if {each.id for each in _changes(connection, asked, move)} - set(move.event_ids):
        raise _ConcurrentChange


def _audit(connection: Connection, origin: RequestOrigin, action: str, move: Move) -> None:
    detail = {"move": str(move.id)}
    if move.request_id is not None:
        detail["request"] = str(move.request_id)
    audit.insert_audit_entry(connection, origin.now, origin.actor, action, detail)


def correct_address(
    request_id: UUID, new: Address, *, actor: str, in_transaction: InTransaction | None = None
) -> Move:
    """Move the address of an open request for correction to `new`, and complete the request.

    The caller has made sure that the person controls `new`. A repeat returns the same move.
    `in_transaction` writes what belongs to the same transaction, such as the notice to the old one.
    Raises InvalidInput, also unless the request names exactly one other address, or identity is
    not proven as it needs; AddressConflict where `new` is another contact's; Unavailable.
    """
    request = _require_correction(steps.load_request(request_id))
    if request.outcome is not None:
        done = run_in_transaction(lambda connection: moves.find_by_request(connection, request_id))
        if done is not None:
            return done
    origin = RequestOrigin(steps.SOURCE, actor, services().now())

    def complete_correction(connection: Connection, move: Move) -> None:
        steps.complete_data_request(
            request_id, RequestOutcome.FULFILLED, actor, connection=connection
        )
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
    request = _require_correction(steps.load_request(request_id))
    if not request.is_open:
        raise errors.InvalidInput(
            f"the request is {request.state}: only an open one can be fulfilled"
        )
    event, is_retracted = run_in_transaction(lambda c: _find_event(c, request, reference))
    if not event.kind.rules.is_consent:
        raise errors.InvalidInput(
            f"this event is {event.kind}: only consents and opt-ins are retracted"
        )
    if is_retracted:
        return event
    now = services().now()
    retraction = Retraction(
        uuid5(request_id, str(event.id)),
        (event.id,),
        now,
        steps.SOURCE,
        actor,
        {"request": str(request_id)},
    )
    detail = {"event": format_receipt_code(event.id)}

    def add_retraction_step(connection: Connection, _: RecordResult) -> None:
        steps.add_step(connection, request_id, now, actor, StepAction.CONSENT_RETRACTED, detail)

    record([retraction], add_retraction_step)
    return event


def _require_correction(request: RightsRequest) -> RightsRequest:
    if request.kind is not RequestKind.CORRECT:
        raise errors.InvalidInput(f"this is a request to {request.kind}, not to correct")
    return request


def _old_address(request: RightsRequest, new: Address) -> Address:
    named = steps.part_addresses(steps.open_sealed(request))
    old = [address for address in named if address != new]
    if len(old) != 1:
        raise errors.InvalidInput(
            "the request has to name exactly one address that is to be corrected"
        )
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
    raise errors.UnknownEvent(
        "no event of this person has this reference: compare it with their file"
    )
