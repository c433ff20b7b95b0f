"""Load contacts, apply the rows of a request, and save what differs, in one transaction.

Contacts are read, changed by the rules of `contacts.rules.contact_set`, and written if they have
not changed meanwhile; else all of it is repeated. So no lock is held while rules run, and the
ledger keeps its one order of locks. The rows of a request are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from preference_center.contacts import store as contacts
from preference_center.contacts.batch import BatchResult, WrittenContact
from preference_center.contacts.ledger_changes import (
    closing_changes,
    reopening_changes,
    restriction_changes,
    unrestriction_changes,
)
from preference_center.contacts.rules.contact_set import ContactSet
from preference_center.contacts.rules.contacts import ContactRef
from preference_center.contacts.store import ConcurrentContactUpdate
from preference_center.core.errors import InvalidRows, Unavailable, UnavailableCause
from preference_center.core.events import Change
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import RequestOrigin

_ATTEMPTS = 5

ContactChanges = Callable[[ContactSet, BatchResult], None]
InTransaction = Callable[[Connection, Sequence[WrittenContact]], None]
"""Writes what belongs to the same transaction; as for `record`, it may be called repeatedly."""


def load_contacts(refs: Collection[ContactRef]) -> ContactSet:
    """The contacts that these refer to, with their addresses and external ids."""
    return run_in_transaction(
        lambda connection: contacts.load_contacts(connection, services().keys, refs)
    )


def apply_and_save(
    refs: Collection[ContactRef],
    apply: ContactChanges,
    origin: RequestOrigin,
    action: str,
    in_transaction: InTransaction | None,
) -> list[WrittenContact]:
    """Load the contacts that `refs` name, change them by `apply`, and write what differs.

    Raises InvalidRows with every error of the rows, and Unavailable.
    """
    for _ in range(_ATTEMPTS):
        contact_set, rows = load_contacts(refs), BatchResult()
        apply(contact_set, rows)
        changes = [
            *closing_changes(contact_set, rows, origin),
            *reopening_changes(contact_set, rows, origin),
            *restriction_changes(contact_set, rows, origin),
            *unrestriction_changes(contact_set, rows, origin),
        ]
        if rows.errors:
            raise InvalidRows(rows.errors)
        written = [
            WrittenContact(
                contact_set.current(row.contact),
                row.is_changed or index in rows.ended_restrictions,
            )
            for index, row in enumerate(rows.written)
        ]
        try:
            _save(contact_set, changes, written, origin, action, in_transaction)
        except ConcurrentContactUpdate:
            continue
        return written
    raise Unavailable("the database is too busy with these contacts", UnavailableCause.LOCK_TIMEOUT)


def _save(
    contact_set: ContactSet,
    changes: Sequence[Change],
    written: Sequence[WrittenContact],
    origin: RequestOrigin,
    action: str,
    in_transaction: InTransaction | None,
) -> None:
    """Write the contacts with their events and the audit entry."""
    gone = {str(old): str(survivor) for old, survivor in contact_set.survivors_by_id().items()}
    detail: dict[str, Sequence[str]] = {
        "contacts": [str(c.id) for c in contact_set.changed_contacts()]
    }
    if gone:
        detail |= {"merged": list(gone), "into": list(gone.values())}

    def write(connection: Connection, _: RecordResult) -> None:
        contacts.save_contacts(connection, services().keys, contact_set, origin.now)
        audit.insert_audit_entry(connection, origin.now, origin.actor, action, detail)
        if in_transaction:
            in_transaction(connection, written)

    if changes or contact_set.changed_contacts():
        record(changes, write, known_addresses=contact_set.new_addresses())
    elif in_transaction:
        run_in_transaction(lambda connection: in_transaction(connection, written))
