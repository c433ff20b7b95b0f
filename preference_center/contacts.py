"""Write contacts, and what follows for the ledger, in one transaction.

Contacts are read, changed by the rules of `domain.contacts`, and written if they have not
changed meanwhile; else all of it is repeated. So no lock is held while rules run, and the
ledger keeps its one order of locks. The rows of a request are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.context import services
from preference_center.domain.account_closure import (
    build_closure_changes,
    build_reopening_change,
    closure_changes_decisions,
)
from preference_center.domain.contacts import Contact, ContactRef, ContactSet, ContactUpdate
from preference_center.domain.events import Change
from preference_center.domain.sender_requests import ConsentEvidence, RequestOrigin
from preference_center.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    InvalidRows,
    RowError,
    Unavailable,
    UnavailableCause,
    UnknownContact,
)
from preference_center.ledger import RecordResult, record
from preference_center.storage import contacts
from preference_center.storage.access import audit
from preference_center.storage.contacts import ConcurrentContactUpdate
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_exact_facts, load_facts

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class WrittenContact:
    """One contact as it is now, and whether its row changed it."""

    contact: Contact
    is_changed: bool


@dataclass(slots=True)
class _BatchResult:
    """The outcome of the rows of one request, and what the ledger must record."""

    written: list[WrittenContact] = field(default_factory=list)
    closed_at: dict[UUID, datetime] = field(default_factory=dict)
    already_closed: dict[UUID, Contact] = field(default_factory=dict)
    """Contacts that were closed before this request."""
    proofs: dict[UUID, tuple[int, ConsentEvidence]] = field(default_factory=dict)
    """With the index of its row."""
    errors: list[RowError] = field(default_factory=list)

    def add(self, contact: Contact, *, is_changed: bool) -> None:
        self.written.append(WrittenContact(contact, is_changed))

    @contextmanager
    def collect_errors(self, row: int, field_path: str = "") -> Iterator[None]:
        """Collect an InvalidInput as an error of this row, and continue after it."""
        try:
            yield
        except AddressConflict as error:
            self.errors.append(RowError(row, f"addresses/{error.index}", error))
        except ExternalIdConflict as error:
            self.errors.append(RowError(row, "external_id", error))
        except InvalidInput as error:
            self.errors.append(RowError(row, field_path, error))


ContactChanges = Callable[[ContactSet, _BatchResult], None]
InTransaction = Callable[[Connection, Sequence[WrittenContact]], None]
"""Writes what belongs to the same transaction; as for `record`, it may be called repeatedly."""


def load_contacts(refs: Collection[ContactRef]) -> ContactSet:
    """The contacts that these refer to, with their addresses and external ids."""
    return run_in_transaction(
        lambda connection: contacts.load_contacts(connection, services().keys, refs)
    )


def upsert_contacts(
    profiles: Sequence[ContactUpdate],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Store what is known of each person; `is_changed` if the contact is new.

    An address that becomes readable is pushed to the tools if it is suppressed, and one of a
    closed account is suppressed too. Raises InvalidRows and Unavailable.
    """
    named = [ContactRef(external_id=p.external_id) for p in profiles if p.external_id is not None]
    named += [ContactRef(address=address) for p in profiles for address in p.addresses]

    def apply(contact_set: ContactSet, result: _BatchResult) -> None:
        for index, profile in enumerate(profiles):
            with result.collect_errors(index):
                contact = contact_set.upsert(profile, services().new_id())
                result.add(contact, is_changed=contact.id not in contact_set.stored)

    return _apply_and_save(named, apply, origin, "contacts.upserted", in_transaction)


def deactivate_contacts(
    requests: Sequence[tuple[ContactRef, datetime]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Close each account as of when the request reached the company (UTC, not later than now).

    `is_changed` if it was open. An address without a contact gets one, so that an account can
    be closed by its address alone. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: _BatchResult) -> None:
        for index, (named, received_at) in enumerate(requests):
            with result.collect_errors(index):
                contact = _find_or_create(contact_set, named)
                result.closed_at.setdefault(contact.id, received_at)
                if contact.state.closed:
                    result.already_closed[contact.id] = contact
                result.add(contact_set.deactivate(contact), is_changed=not contact.state.closed)

    return _apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.deactivated", in_transaction
    )


def reopen_contacts(
    requests: Sequence[tuple[ContactRef, ConsentEvidence]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Open each closed account again, by the person's own act; marketing stays off (I6).

    `is_changed` if it was closed. Raises InvalidRows, also where the account was closed after
    that act, and Unavailable.
    """

    def apply(contact_set: ContactSet, result: _BatchResult) -> None:
        for index, (named, proof) in enumerate(requests):
            with result.collect_errors(index):
                contact = contact_set.find(named)
                result.proofs.setdefault(contact.id, (index, proof))
                result.add(contact_set.reopen(contact), is_changed=contact.state.closed)

    return _apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.reopened", in_transaction
    )


def merge_contacts(
    pairs: Sequence[tuple[ContactRef, ContactRef]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Make one contact of each two: the first is merged into the second.

    If one of them is closed, both are from now on. `is_changed` if they were two. This
    can't be undone: the audit records both ids. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: _BatchResult) -> None:
        for index, (gone, into) in enumerate(pairs):
            found: list[Contact] = []
            for named, at in ((gone, "merge"), (into, "into")):
                with result.collect_errors(index, at):
                    found.append(contact_set.find(named))
            if len(found) == 2:  # noqa: PLR2004 - both of the pair
                with result.collect_errors(index):
                    result.add(contact_set.merge(*found), is_changed=found[0].id != found[1].id)

    return _apply_and_save(
        [named for pair in pairs for named in pair],
        apply,
        origin,
        "contacts.merged",
        in_transaction,
    )


def _apply_and_save(
    refs: Collection[ContactRef],
    apply: ContactChanges,
    origin: RequestOrigin,
    action: str,
    in_transaction: InTransaction | None,
) -> list[WrittenContact]:
    for _ in range(_ATTEMPTS):
        contact_set, rows = load_contacts(refs), _BatchResult()
        apply(contact_set, rows)
        changes = [
            *_closing_changes(contact_set, rows, origin),
            *_reopening_changes(contact_set, rows, origin),
        ]
        if rows.errors:
            raise InvalidRows(rows.errors)
        written = [
            WrittenContact(contact_set.find(ContactRef(row.contact.id)), row.is_changed)
            for row in rows.written
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


def _closing_changes(
    contact_set: ContactSet, result: _BatchResult, origin: RequestOrigin
) -> Iterator[Change]:
    new_id = services().new_id
    for contact, address in contact_set.newly_closed():
        at = result.closed_at.get(contact.id, origin.now)
        yield from build_closure_changes((new_id(), new_id()), address, origin, at)
    again = [
        (contact, address)
        for contact in result.already_closed.values()
        for address in sorted(contact.addresses, key=lambda a: (a.channel, a.exact))
    ]
    facts = load_facts([address for _, address in again]) if again else []
    for (contact, address), known in zip(again, facts, strict=True):
        at = result.closed_at[contact.id]
        if closure_changes_decisions(known, at):
            yield from build_closure_changes((new_id(), new_id()), address, origin, at)


def _reopening_changes(
    contact_set: ContactSet, result: _BatchResult, origin: RequestOrigin
) -> list[Change]:
    changes: list[Change] = []
    reopened = [*contact_set.newly_reopened()]
    facts = load_exact_facts([address for _, address in reopened]) if reopened else []
    for (contact, address), known in zip(reopened, facts, strict=True):
        row, proof = result.proofs[contact.id]
        if result.errors and result.errors[-1].row == row:
            continue  # one error is enough, however many addresses the contact has
        with result.collect_errors(row, "evidence"):
            changes.append(
                build_reopening_change(services().new_id(), address, proof, origin, known)
            )
    return changes


def _find_or_create(contact_set: ContactSet, ref: ContactRef) -> Contact:
    try:
        return contact_set.find(ref)
    except UnknownContact:
        if ref.address is None:
            raise
        return contact_set.upsert(ContactUpdate(addresses=(ref.address,)), services().new_id())
