"""Change contacts as entry points ask, and record in the ledger what follows, in one transaction.

Contacts are read, changed by the rules of `contacts.rules.contact`, and written if they have
not changed meanwhile; else all of it is repeated. So no lock is held while rules run, and the
ledger keeps its one order of locks. The rows of a request are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.contacts import store as contacts
from preference_center.contacts.rules.account import (
    UnrestrictionProof,
    build_closure_changes,
    build_reopening_change,
    build_restriction_change,
    build_unrestriction_change,
    closure_changes_decisions,
    is_ended_by,
    is_restricted,
    require_closed_by,
)
from preference_center.contacts.rules.contact import Contact, ContactRef, ContactSet, ContactUpdate
from preference_center.contacts.store import ConcurrentContactUpdate
from preference_center.core.addresses import Address
from preference_center.core.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidInput,
    InvalidRows,
    RowError,
    Unavailable,
    UnavailableCause,
    UnknownContact,
)
from preference_center.core.events import Change
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import ScopeFacts, load_exact_facts, load_facts


@dataclass(frozen=True, slots=True)
class WrittenContact:
    """One contact as it is now, and whether its row changed it."""

    contact: Contact
    is_changed: bool


@dataclass(slots=True)
class BatchResult:
    """The outcome of the rows of one request, and what the ledger must record."""

    written: list[WrittenContact] = field(default_factory=list)
    closed_at: dict[UUID, datetime] = field(default_factory=dict)
    already_closed: dict[UUID, Contact] = field(default_factory=dict)
    """Contacts that were closed before this request."""
    proofs: dict[UUID, tuple[int, ConsentEvidence]] = field(default_factory=dict)
    """Of reopenings, with the index of the row."""
    closed_by: datetime | None = None
    """The newest closing that these reopenings undo; None for any before them."""
    restricted_at: dict[UUID, datetime] = field(default_factory=dict)
    """Contacts that a row restricts, and since when."""
    unrestricted: dict[UUID, tuple[int, UnrestrictionProof]] = field(default_factory=dict)
    """Contacts whose restriction a row ends, with the index of the row."""
    ended_restrictions: set[int] = field(default_factory=set)
    """Indexes of rows that ended a restriction of an address, with or without the contact's."""
    errors: list[RowError] = field(default_factory=list)

    def add(self, contact: Contact, *, is_changed: bool) -> None:
        """Add the outcome of the next row."""
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


def closing_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> Iterator[Change]:
    """What the closing of accounts adds to the ledger, for every address of theirs (I4)."""
    new_id = services().new_id
    for contact, address in contact_set.newly_closed():
        at = result.closed_at.get(contact.id, origin.now)
        yield from build_closure_changes((new_id(), new_id()), address, origin, at)
    again = [
        (contact, address)
        for contact in result.already_closed.values()
        for address in _sorted(contact)
    ]
    facts = load_facts([address for _, address in again]) if again else []
    for (contact, address), known in zip(again, facts, strict=True):
        at = result.closed_at[contact.id]
        if closure_changes_decisions(known, at):
            yield from build_closure_changes((new_id(), new_id()), address, origin, at)


def reopening_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> list[Change]:
    """The same for reopened accounts; errors of proofs are collected."""
    changes: list[Change] = []
    reopened = [*contact_set.newly_reopened()]
    facts = load_exact_facts([address for _, address in reopened]) if reopened else []
    for (contact, address), known in zip(reopened, facts, strict=True):
        row, proof = result.proofs[contact.id]
        if result.errors and result.errors[-1].row == row:
            continue  # one error is enough, however many addresses the contact has
        with result.collect_errors(row, "evidence"):
            if result.closed_by:
                of_contact = (f for (c, _), f in zip(reopened, facts, strict=True) if c is contact)
                require_closed_by(of_contact, result.closed_by)
            changes.append(
                build_reopening_change(services().new_id(), address, proof, origin, known)
            )
    return changes


def restriction_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> Iterator[Change]:
    """A restriction of each address of restricted contacts that has none yet.

    Of contacts that a row restricts, and of addresses that a restricted contact gains.
    """
    affected = {address: contact for contact, address in contact_set.newly_restricted()}
    for contact_id in result.restricted_at:
        contact = contact_set.contacts[contact_id]
        if contact.restricted_at is not None:
            affected |= dict.fromkeys(contact.addresses, contact)
    for address, facts in _load_exact(affected):
        if not is_restricted(facts):
            at = result.restricted_at.get(affected[address].id, origin.now)
            yield build_restriction_change(services().new_id(), address, origin, at)


def unrestriction_changes(
    contact_set: ContactSet, result: BatchResult, origin: RequestOrigin
) -> list[Change]:
    """The end of each restriction of the contacts that rows name; errors are collected."""
    changes: list[Change] = []
    affected = {
        address: proof
        for contact_id, proof in result.unrestricted.items()
        for address in contact_set.contacts[contact_id].addresses
    }
    for address, facts in _load_exact(affected):
        row, proof = affected[address]
        if not is_ended_by(proof, facts) or (result.errors and result.errors[-1].row == row):
            continue
        with result.collect_errors(row, proof_field(proof)):
            changes.append(
                build_unrestriction_change(services().new_id(), address, proof, origin, facts)
            )
            result.ended_restrictions.add(row)
    return changes


def proof_field(proof: UnrestrictionProof) -> str:
    """The field of a row that has this proof."""
    return "evidence" if isinstance(proof, ConsentEvidence) else "notice_sent_at"


def _load_exact(addresses: Iterable[Address]) -> list[tuple[Address, ScopeFacts]]:
    """The facts of exactly these addresses, in the order of the ledger's locks."""
    ordered = sorted(addresses, key=lambda address: (address.channel, address.exact))
    return [*zip(ordered, load_exact_facts(ordered) if ordered else [], strict=True)]


def _sorted(contact: Contact) -> list[Address]:
    return sorted(contact.addresses, key=lambda address: (address.channel, address.exact))


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

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, profile in enumerate(profiles):
            with result.collect_errors(index):
                contact = contact_set.upsert(profile, services().new_id())
                result.add(contact, is_changed=contact.id not in contact_set.stored)

    return apply_and_save(named, apply, origin, "contacts.upserted", in_transaction)


def deactivate_contacts(
    requests: Sequence[tuple[ContactRef, datetime]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Close each account as of when the request reached the company (UTC, not later than now).

    `is_changed` if it was open. An address without a contact gets one, so that an account can
    be closed by its address alone. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, received_at) in enumerate(requests):
            with result.collect_errors(index):
                contact = _find_or_create(contact_set, named)
                result.closed_at.setdefault(contact.id, received_at)
                if contact.account.closed:
                    result.already_closed[contact.id] = contact
                result.add(contact_set.deactivate(contact), is_changed=not contact.account.closed)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.deactivated", in_transaction
    )


def reopen_contacts(
    requests: Sequence[tuple[ContactRef, ConsentEvidence]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
    *,
    closed_by: datetime | None = None,
) -> list[WrittenContact]:
    """Open each closed account again, by the person's own act; marketing stays off (I6).

    `is_changed` if it was closed. Raises InvalidRows, also where the account was closed after
    that act, or after `closed_by` (UTC), and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        result.closed_by = closed_by
        for index, (named, proof) in enumerate(requests):
            with result.collect_errors(index):
                contact = contact_set.find(named)
                result.proofs.setdefault(contact.id, (index, proof))
                result.add(contact_set.reopen(contact), is_changed=contact.account.closed)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.reopened", in_transaction
    )


def restrict_contacts(
    requests: Sequence[tuple[ContactRef, datetime]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """Limit the use of each contact's data as of when it was asked for (UTC, not later than now).

    No marketing to any of its addresses, also those that are linked later. `is_changed` if it was
    not limited. An address without a contact gets one. Raises InvalidRows and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, received_at) in enumerate(requests):
            with result.collect_errors(index):
                contact = _find_or_create(contact_set, named)
                result.restricted_at.setdefault(contact.id, received_at)
                restricted = contact_set.restrict(contact, received_at)
                result.add(restricted, is_changed=restricted != contact)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.restricted", in_transaction
    )


def unrestrict_contacts(
    requests: Sequence[tuple[ContactRef, UnrestrictionProof]],
    origin: RequestOrigin,
    in_transaction: InTransaction | None = None,
) -> list[WrittenContact]:
    """End each restriction, by the person's own act or after a notice. Opt-outs stay.

    `is_changed` if the contact was restricted. Raises InvalidRows, also for an act or a notice
    from before the restriction and for a notice that is too new, and Unavailable.
    """

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (named, proof) in enumerate(requests):
            with result.collect_errors(index):
                contact = contact_set.find(named)
                result.unrestricted.setdefault(contact.id, (index, proof))
                unrestricted = contact_set.unrestrict(contact)
                result.add(unrestricted, is_changed=unrestricted != contact)

    return apply_and_save(
        [named for named, _ in requests], apply, origin, "contacts.unrestricted", in_transaction
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

    def apply(contact_set: ContactSet, result: BatchResult) -> None:
        for index, (gone, into) in enumerate(pairs):
            found: list[Contact] = []
            for named, at in ((gone, "merge"), (into, "into")):
                with result.collect_errors(index, at):
                    found.append(contact_set.find(named))
            if len(found) == 2:  # noqa: PLR2004 - both of the pair
                with result.collect_errors(index):
                    result.add(contact_set.merge(*found), is_changed=found[0].id != found[1].id)

    return apply_and_save(
        [named for pair in pairs for named in pair],
        apply,
        origin,
        "contacts.merged",
        in_transaction,
    )


def _find_or_create(contact_set: ContactSet, ref: ContactRef) -> Contact:
    try:
        return contact_set.find(ref)
    except UnknownContact:
        if ref.address is None:
            raise
        # Of an erased address it keeps nothing readable, but that it is closed or restricted (I4).
        return contact_set.replace_erased(ref.address, services().new_id())
