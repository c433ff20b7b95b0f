"""Let a person come back after an erasure, by an act of their own (I6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from preference_center import contacts
from preference_center.contacts.rules.account import build_reopening_change
from preference_center.contacts.rules.contact import Contact, ContactRef, ContactSet
from preference_center.contacts.store import ConcurrentContactUpdate, save_contacts
from preference_center.core.addresses import Address
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import InvalidInput, Unavailable, UnavailableCause
from preference_center.core.events import EVERYTHING, Change, EventKind
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.address_rows import addresses_json
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.sql import RAISE_RETURNED
from preference_center.ledger.store.addresses import load_erased_at, make_readable_again
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.erasure.store import end_returned

_ATTEMPTS = 5

InTransaction = Callable[[Connection, Contact], None]
"""Writes what belongs to the same transaction; as for `record`, it may be called again."""


def return_after_erasure(
    address: Address,
    proof: ConsentEvidence,
    *,
    origin: RequestOrigin,
    changes: Sequence[Change] = (),
    in_transaction: InTransaction | None = None,
) -> Contact:
    """Let the person of an erased address come back: a new contact, and service mail again.

    The act must prove that they control the address now. Marketing stays off until they turn it
    on; `changes` are recorded at the same moment. What was still to be erased in tools ends. A
    repeat records nothing and returns the contact. Raises
    InvalidInput if the address was not erased, or was after that act, and Unavailable.
    """
    for _ in range(_ATTEMPTS):
        contact_set = contacts.load_contacts([ContactRef(address=address)])
        owner = contact_set.owner(address)
        if address not in contact_set.erased:
            if owner is None:
                raise InvalidInput("this address was not erased: there is nothing to come back to")
            return owner
        contact = contact_set.replace_erased(address, services().new_id())
        made = [*_reopening_changes(address, proof, origin), *changes]
        try:
            _save(address, contact_set, contact, made, origin, in_transaction)
        except ConcurrentContactUpdate:
            continue
        return contact
    raise Unavailable("the database is too busy with this contact", UnavailableCause.LOCK_TIMEOUT)


def record_opt_ins(changes: Sequence[Change], language: str) -> None:
    """Record what the person of one address turned on, by an act that proves that it is theirs.

    Who was erased comes back by that. A form that was shown before the erasure brings nobody
    back, and lifts nothing (I5). `language` is that of the page. Raises Unavailable.
    """
    opt_ins = [change for change in changes if change.kind is EventKind.OPTED_IN]
    address = opt_ins[0].address if opt_ins else None
    if isinstance(address, Address) and _is_erased(address):
        proof = ConsentEvidence(
            opt_ins[0].source,
            f"turned on: {', '.join(change.scope for change in opt_ins)}",
            language,
            min(change.occurred_at for change in opt_ins),
        )
        origin = RequestOrigin(opt_ins[0].source, opt_ins[0].actor, services().now())
        with suppress(InvalidInput):
            return_after_erasure(address, proof, origin=origin, changes=changes)
            return
    record(changes)


def _is_erased(address: Address) -> bool:
    return address in contacts.load_contacts([ContactRef(address=address)]).erased


def _reopening_changes(
    address: Address, proof: ConsentEvidence, origin: RequestOrigin
) -> list[Change]:
    """The lift of *everything* where it is off: only the erasure of an account turns it off."""
    keys = services().keys
    erased_at = run_in_transaction(lambda connection: load_erased_at(connection, keys, address))
    if erased_at and erased_at >= proof.occurred_at:
        raise InvalidInput("the address was erased then or later: only a newer act undoes it")
    [facts] = load_exact_facts([address])
    change = build_reopening_change(services().new_id(), address, proof, origin, facts)
    closed = any(fact.scope == EVERYTHING and fact.state.is_suppressed for fact in facts)
    return [change] if closed else []


def _save(
    address: Address,
    contact_set: ContactSet,
    contact: Contact,
    changes: list[Change],
    origin: RequestOrigin,
    in_transaction: InTransaction | None,
) -> None:
    keys = services().keys

    def write(connection: Connection, _: RecordResult) -> None:
        number = make_readable_again(connection, keys, address)
        if number is None:
            raise ConcurrentContactUpdate
        end_returned(connection, number, origin.now)
        save_contacts(connection, keys, contact_set, origin.now)
        _raise_sync_states(connection, address, origin)
        audit.insert_audit_entry(
            connection, origin.now, origin.actor, "contacts.returned", {"contact": str(contact.id)}
        )
        if in_transaction:
            in_transaction(connection, contact)

    record(changes, write, known_addresses=[address])


def _raise_sync_states(connection: Connection, address: Address, origin: RequestOrigin) -> None:
    """What is off here must be off in every tool: what they hold may be out of date."""
    keys = services().keys
    given = {
        "addresses": addresses_json(keys, [address], [keys.exact_digest(address)]),
        "now": origin.now,
        "window": WINDOW,
        "bulk": False,
    }
    connection.execute(RAISE_RETURNED, given)
