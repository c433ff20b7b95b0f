"""Writing contacts: what they are, and what that means for the ledger, in one transaction.

Contacts are read, changed by the rules of `domain.contacts`, and written if nobody else has
written them meanwhile; else all of it is done again. So no lock is held while rules run, and
the ledger keeps its one order of locks. Many rows are taken together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.domain.account_closure import adds_to_closing, closing, reopening
from preference_center.domain.contacts import Book, Contact, Named, Profile
from preference_center.domain.events import Change
from preference_center.domain.sender_requests import Origin, Proof
from preference_center.errors import (
    Cause,
    InvalidInput,
    InvalidRows,
    RowFault,
    TakenAddress,
    TakenExternalId,
    Unavailable,
    UnknownContact,
)
from preference_center.extensions import services
from preference_center.ledger import Recorded, record
from preference_center.storage import contacts
from preference_center.storage.access import audit
from preference_center.storage.contacts import Outdated
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.suppression_lookup import exact_facts_for, facts_for

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Written:
    """One contact as it is now, and whether the row changed what was asked for."""

    contact: Contact
    news: bool


@dataclass(slots=True)
class _Rows:
    """What came of the rows of one request, and what the ledger is to say of them."""

    written: list[Written] = field(default_factory=list)
    closed_at: dict[UUID, datetime] = field(default_factory=dict)
    closed_again: dict[UUID, Contact] = field(default_factory=dict)
    """Closed already before this request."""
    proofs: dict[UUID, tuple[int, Proof]] = field(default_factory=dict)
    """And the row that it came with."""
    faults: list[RowFault] = field(default_factory=list)

    def write(self, contact: Contact, *, news: bool) -> None:
        self.written.append(Written(contact, news))

    @contextmanager
    def judged(self, row: int, at: str = "") -> Iterator[None]:
        """Note an InvalidInput as a fault of this row, and go on after it."""
        try:
            yield
        except TakenAddress as error:
            self.faults.append(RowFault(row, f"addresses/{error.index}", error))
        except TakenExternalId as error:
            self.faults.append(RowFault(row, "external_id", error))
        except InvalidInput as error:
            self.faults.append(RowFault(row, at, error))


Work = Callable[[Book, _Rows], None]
Beside = Callable[[Connection, Sequence[Written]], None]
"""Writes what belongs to the same transaction; as for `record`, it may be called again."""


def read(named: Collection[Named]) -> Book:
    """The contacts that these name, with all that is theirs."""
    return run(lambda connection: contacts.load(connection, services().keys, named))


def upsert(
    profiles: Sequence[Profile], origin: Origin, beside: Beside | None = None
) -> list[Written]:
    """Write down what is known of each person; `news` if the contact is new.

    An address that becomes known in full is told to the tools if anything stands against
    it, and one of a closed account is closed too. Raises InvalidRows and Unavailable.
    """
    named = [Named(external_id=p.external_id) for p in profiles if p.external_id is not None]
    named += [Named(address=address) for p in profiles for address in p.addresses]

    def work(book: Book, rows: _Rows) -> None:
        for index, profile in enumerate(profiles):
            with rows.judged(index):
                contact = book.upsert(profile, services().new_id())
                rows.write(contact, news=contact.id not in book.before)

    return _write(named, work, origin, "contacts.upserted", beside)


def deactivate(
    wishes: Sequence[tuple[Named, datetime]], origin: Origin, beside: Beside | None = None
) -> list[Written]:
    """Close each account as of the time at which the company was told (UTC, not later than now).

    `news` if it was open. An address that is no contact's becomes one, so that whoever has
    but an address can be heard. Raises InvalidRows and Unavailable.
    """

    def work(book: Book, rows: _Rows) -> None:
        for index, (named, received_at) in enumerate(wishes):
            with rows.judged(index):
                contact = _found_or_new(book, named)
                rows.closed_at.setdefault(contact.id, received_at)
                if contact.state.closed:
                    rows.closed_again[contact.id] = contact
                rows.write(book.deactivate(contact), news=not contact.state.closed)

    return _write([named for named, _ in wishes], work, origin, "contacts.deactivated", beside)


def reopen(
    wishes: Sequence[tuple[Named, Proof]], origin: Origin, beside: Beside | None = None
) -> list[Written]:
    """Open each closed account again, by the person's own act; marketing stays off (I6).

    `news` if it was closed. Raises InvalidRows, also where the account was closed after
    that act, and Unavailable.
    """

    def work(book: Book, rows: _Rows) -> None:
        for index, (named, proof) in enumerate(wishes):
            with rows.judged(index):
                contact = book.find(named)
                rows.proofs.setdefault(contact.id, (index, proof))
                rows.write(book.reopen(contact), news=contact.state.closed)

    return _write([named for named, _ in wishes], work, origin, "contacts.reopened", beside)


def merge(
    pairs: Sequence[tuple[Named, Named]], origin: Origin, beside: Beside | None = None
) -> list[Written]:
    """Make one contact of each two: the first is merged into the second.

    If one of them is closed, both are from now on. `news` if they were two. Not to be
    undone: the audit tells which they were. Raises InvalidRows and Unavailable.
    """

    def work(book: Book, rows: _Rows) -> None:
        for index, (gone, into) in enumerate(pairs):
            found: list[Contact] = []
            for named, at in ((gone, "merge"), (into, "into")):
                with rows.judged(index, at):
                    found.append(book.find(named))
            if len(found) == 2:  # noqa: PLR2004 - both of the pair
                with rows.judged(index):
                    rows.write(book.merge(*found), news=found[0].id != found[1].id)

    return _write(
        [named for pair in pairs for named in pair], work, origin, "contacts.merged", beside
    )


def _write(
    named: Collection[Named], work: Work, origin: Origin, action: str, beside: Beside | None
) -> list[Written]:
    for _ in range(_ATTEMPTS):
        book, rows = read(named), _Rows()
        work(book, rows)
        changes = [*_closings(book, rows, origin), *_reopenings(book, rows, origin)]
        if rows.faults:
            raise InvalidRows(rows.faults)
        written = [Written(book.find(Named(row.contact.id)), row.news) for row in rows.written]
        try:
            _save(book, changes, written, origin, action, beside)
        except Outdated:
            continue
        return written
    raise Unavailable("the database is too busy with these contacts", Cause.LOCK)


def _save(
    book: Book,
    changes: Sequence[Change],
    written: Sequence[Written],
    origin: Origin,
    action: str,
    beside: Beside | None,
) -> None:
    """Write the contacts with their events, and who changed them."""
    gone = {str(old): str(survivor) for old, survivor in book.gone().items()}
    detail: dict[str, Sequence[str]] = {"contacts": [str(c.id) for c in book.changed()]}
    if gone:
        detail |= {"merged": list(gone), "into": list(gone.values())}

    def write(connection: Connection, _: Recorded) -> None:
        contacts.save(connection, services().keys, book, origin.now)
        audit.append(connection, origin.now, origin.actor, action, detail)
        if beside:
            beside(connection, written)

    if changes or book.changed():
        record(changes, write, known=book.learned())
    elif beside:
        run(lambda connection: beside(connection, written))


def _closings(book: Book, rows: _Rows, origin: Origin) -> Iterator[Change]:
    new_id = services().new_id
    for contact, address in book.closed():
        at = rows.closed_at.get(contact.id, origin.now)
        yield from closing((new_id(), new_id()), address, origin, at)
    again = [
        (contact, address)
        for contact in rows.closed_again.values()
        for address in sorted(contact.addresses, key=lambda a: (a.channel, a.exact))
    ]
    facts = facts_for([address for _, address in again]) if again else []
    for (contact, address), known in zip(again, facts, strict=True):
        at = rows.closed_at[contact.id]
        if adds_to_closing(known, at):
            yield from closing((new_id(), new_id()), address, origin, at)


def _reopenings(book: Book, rows: _Rows, origin: Origin) -> list[Change]:
    changes: list[Change] = []
    reopened = [*book.reopened()]
    facts = exact_facts_for([address for _, address in reopened]) if reopened else []
    for (contact, address), known in zip(reopened, facts, strict=True):
        row, proof = rows.proofs[contact.id]
        if rows.faults and rows.faults[-1].row == row:
            continue  # one fault is enough, however many addresses the contact has
        with rows.judged(row, "evidence"):
            changes.append(reopening(services().new_id(), address, proof, origin, known))
    return changes


def _found_or_new(book: Book, named: Named) -> Contact:
    try:
        return book.find(named)
    except UnknownContact:
        if named.address is None:
            raise
        return book.upsert(Profile(addresses=(named.address,)), services().new_id())
