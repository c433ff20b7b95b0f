"""Erase people in our own stores: forget the person, keep the opt-out (I6).

One transaction records `erased`, makes the address unreadable to everything but what must still
be pushed to tools, deletes or clears what `rights.erasure.tables` names, and creates the
tasks of the tools. Contacts are read first and compared when they are written, so that the ledger
keeps its one order of locks: addresses, then contacts.

`tidy_erasures` finishes erasures, hands them over to people and forgets them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from preference_center import contacts
from preference_center.contacts.rules.account import closure_changes_decisions
from preference_center.contacts.rules.contact import ContactRef
from preference_center.contacts.store import ConcurrentContactUpdate
from preference_center.core import errors
from preference_center.core.addresses import Address, HashAlgorithm, HashedAddress
from preference_center.core.events import REPEAT_INTERVAL, Change, ScopeFact
from preference_center.core.links.tokens import restore_address
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import insert_emails
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_facts_by_id
from preference_center.rights import holds
from preference_center.rights.emails import build_notices
from preference_center.rights.erasure import store
from preference_center.rights.erasure.journal import write_journal
from preference_center.rights.erasure.store import ErasedAccount, ErasureSubject, NewErasure
from preference_center.rights.erasure.tables import ErasedRows, erase_rows
from preference_center.rights.rules.changes import build_erasure_changes
from preference_center.rights.rules.requests import Extent

CHUNK_SIZE = 500
"""Addresses of one transaction: it holds their locks for less than a second."""


_ATTEMPTS = 5


InTransaction = Callable[[Connection, Sequence[UUID]], None]
"""Writes what belongs to the same transaction, given the ids of the erasures.

As for `record`, it may be called again after a broken connection.
"""


class _DigestsChanged(Exception):
    """All digests were brought to another key since they were read (docs/decisions/0061)."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for, of whomever. `begun_at` is when it counts from (UTC).

    `notify`: mail the people a last notice, but for addresses that are `informed` otherwise. A
    replay repeats what was allowed then, holds or not, and the journal has it already.
    """

    extent: Extent
    origin: RequestOrigin
    request_id: UUID | None
    begun_at: datetime
    notify: bool = False
    informed: Collection[Address] = ()
    is_replay: bool = False
    erasure_ids: Mapping[bytes | UUID, UUID] = field(default_factory=dict)

    def find_id(self, of: bytes | UUID) -> UUID:
        """The id that the erasure of this digest or contact had before, else a new one."""
        return self.erasure_ids.get(of) or services().new_id()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one transaction erases.

    `covered` were erased that far already. Nothing is erased again of them, but if that was more
    than REPEAT_INTERVAL ago, the opt-out is recorded again, and `repeated` has the id of one more
    erasure for the journal: what was said in between may reach us only later, in a list, say, or
    a backup of then be restored (I5, I6).
    """

    subjects: Sequence[ErasureSubject]
    accounts: Sequence[ErasedAccount]
    new: Sequence[NewErasure]
    covered: Sequence[ErasureSubject]
    repeated: Mapping[UUID, ErasureSubject]
    digest_length: int
    """That of the keys which made the digests of all these."""

    @property
    def ids(self) -> list[UUID]:
        covered = [each.erasure_id for each in self.covered if each.erasure_id]
        return [*(each.id for each in self.new), *covered]


def erase_addresses(
    address_ids: Collection[int],
    extent: Extent,
    *,
    origin: RequestOrigin,
    request_id: UUID | None = None,
    in_transaction: InTransaction | None = None,
    notify: bool = False,
) -> list[UUID]:
    """Erase these stored addresses; returns the ids of their erasures.

    ACCOUNT erases the contacts that they belong to, with all their addresses. Addresses are
    committed in chunks of CHUNK_SIZE, and of what was erased that far already only the opt-out is
    recorded again: to resume, call it again. `notify`: mail each of them a last notice, where no
    request is answered. With `in_transaction` all is one transaction, for CHUNK_SIZE addresses at
    most.
    Raises UnderHold if one of them is held, with its chunk as it was, and Unavailable, also where
    the journal could not be written: call it again then.
    """
    request = _Request(extent, origin, request_id, origin.now, notify)
    if in_transaction is not None and len(address_ids) > CHUNK_SIZE:
        raise ValueError(f"one transaction erases up to {CHUNK_SIZE} addresses")
    erased: list[UUID] = []
    ordered = sorted(address_ids)
    for start in range(0, len(ordered), CHUNK_SIZE):
        erased += _erase(ordered[start : start + CHUNK_SIZE], (), request, in_transaction)
    write_journal()
    return erased


def erase_contacts(
    refs: Sequence[ContactRef],
    extent: Extent,
    *,
    origin: RequestOrigin,
    request_id: UUID | None = None,
    in_transaction: InTransaction | None = None,
    notify: bool = False,
    informed: Collection[Address] = (),
) -> list[UUID]:
    """Erase contacts, each with all its addresses; returns the ids of their erasures.

    Of a contact that is given by an address, MARKETING erases exactly this one (I9). An address
    that is not known yet is stored first, so that a tool that knows it is brought to erase it too.
    `notify`: mail each of their addresses a last notice, but for the `informed`, to whom the
    answer of a request goes.
    All is one transaction, for few contacts. Raises UnknownContact, UnderHold and
    Unavailable.
    """
    named = [ref.address for ref in refs if ref.address is not None]
    if named:
        record([], known_addresses=named)
    contact_set = contacts.load_contacts(refs)
    found = {contact_set.find(ref).id for ref in refs if ref.address is None}
    request = _Request(extent, origin, request_id, origin.now, notify, informed)
    keys = services().keys
    ids = run_in_transaction(lambda c: store.find_address_ids(c, keys, named))
    erased = _erase(ids, found, request, in_transaction)
    write_journal()
    return erased


def erase_again(
    address_ids: Collection[int],
    contact_ids: Collection[UUID],
    extent: Extent,
    *,
    origin: RequestOrigin,
    begun_at: datetime,
    erasure_ids: Mapping[bytes | UUID, UUID] | None = None,
) -> None:
    """Erase what was erased at `begun_at` (UTC) already, before the database was restored.

    `erasure_ids` are the ids that the erasures had then, by the digest of the address, or by the
    contact where that had no address. Contacts that this database does not know are skipped.
    Raises Unavailable.
    """
    ids = erasure_ids or {}
    request = _Request(extent, origin, None, begun_at, is_replay=True, erasure_ids=ids)
    with suppress(errors.UnknownContact):
        _erase(address_ids, contact_ids, request, None)


def _erase(
    address_ids: Collection[int],
    contact_ids: Collection[UUID],
    request: _Request,
    in_transaction: InTransaction | None,
) -> list[UUID]:
    for _ in range(_ATTEMPTS):
        plan = _make_plan(address_ids, contact_ids, request)
        try:
            _save(plan, request, in_transaction)
        except (ConcurrentContactUpdate, _DigestsChanged):
            continue
        return plan.ids
    raise errors.Unavailable(
        "the database is too busy with these contacts", errors.UnavailableCause.LOCK_TIMEOUT
    )


def _make_plan(
    address_ids: Collection[int], contact_ids: Collection[UUID], request: _Request
) -> _Plan:
    keys, extent = services().keys, request.extent

    def load(connection: Connection) -> tuple[int, list[ErasedAccount], list[ErasureSubject]]:
        digest_length = keys.digest_length
        accounts = store.load_accounts(connection, address_ids, contact_ids)
        ids = [each.id for each in accounts if extent.rules.of_account or each.id in contact_ids]
        subjects = store.load_subjects(connection, keys, address_ids, ids)
        return digest_length, accounts, subjects

    digest_length, accounts, subjects = run_in_transaction(load)
    if not accounts and not subjects:
        raise errors.UnknownContact("none of these addresses is known")
    covered = [each for each in subjects if each.is_covered(extent)]
    again = _opted_in_since(covered, request.begun_at) | _erased_later(covered, request)
    open_subjects = [
        each for each in subjects if each.address_id in again or not each.is_covered(extent)
    ]
    left = [each for each in covered if each.address_id not in again]
    new = [
        NewErasure(request.find_id(each.digest), each.address_id, each.contact_id)
        for each in open_subjects
    ]
    if extent.rules.of_account:
        linked = {each.contact_id for each in subjects}
        bare = [each for each in accounts if each.id not in linked and not each.is_erased]
        new += [NewErasure(request.find_id(each.id), None, each.id) for each in bare]
    return _Plan(
        subjects=open_subjects,
        accounts=accounts,
        new=new,
        covered=left,
        repeated={services().new_id(): each for each in left if _is_repeated(each, request)},
        digest_length=digest_length,
    )


def _is_repeated(subject: ErasureSubject, request: _Request) -> bool:
    begun_at = subject.begun_at
    return begun_at is not None and request.begun_at - begun_at > REPEAT_INTERVAL


def _opted_in_since(covered: Sequence[ErasureSubject], at: datetime) -> set[int]:
    """The ids of those erased addresses that an erasure at `at` finds something new of.

    A form of the mailbox was opted in since, which the opt-out has to outrank again (I5), or a
    choice is stored for exactly this address again (I6).
    """
    ids = [each.address_id for each in covered]
    facts = run_in_transaction(lambda connection: load_facts_by_id(connection, ids))
    return {
        address_id
        for address_id, known in facts.items()
        if closure_changes_decisions(known, at) or any(_has_choice(fact, at) for fact in known)
    }


def _erased_later(covered: Sequence[ErasureSubject], request: _Request) -> set[int]:
    """The ids of those addresses that were erased again, before the database was restored.

    What came in between is lost, so nothing else tells that it was erased: a list may bring it back
    (I6).
    """
    return {
        each.address_id
        for each in covered
        if request.is_replay and each.begun_at and each.begun_at < request.begun_at
    }


def _has_choice(fact: ScopeFact, at: datetime) -> bool:
    return fact.exact and fact.state != fact.state.without_choices_before(at)


def _save(plan: _Plan, request: _Request, in_transaction: InTransaction | None) -> None:
    def write(connection: Connection, _: RecordResult) -> None:
        if services().keys.digest_length != plan.digest_length:
            raise _DigestsChanged
        if plan.new:
            _erase_new(connection, plan, request)
        repeated = {new: each.erasure_id for new, each in plan.repeated.items() if each.erasure_id}
        store.insert_repeats(connection, repeated, request.request_id, request.begun_at)
        if in_transaction:
            in_transaction(connection, plan.ids)
        if not request.is_replay:
            store.number_entries(connection, [*(each.id for each in plan.new), *repeated])

    if plan.new or plan.repeated:
        record([*_changes(plan, request)], write)
    elif in_transaction:
        run_in_transaction(lambda connection: in_transaction(connection, plan.ids))


def _erase_new(connection: Connection, plan: _Plan, request: _Request) -> None:
    now, ids = services().now(), [each.id for each in plan.new]
    if not request.is_replay:
        _refuse_held(connection, plan.subjects, now)
    store.lock_accounts(connection, plan.accounts)
    store.insert_erasures(
        connection, plan.new, request.extent, request.request_id, begun_at=request.begun_at, now=now
    )
    erase_rows(connection, _erased_rows(plan, request), now)
    if request.notify:
        notices = build_notices(plan.subjects, plan.accounts, request.extent, now, request.informed)
        insert_emails(connection, notices)
    store.finish_erasures(connection, now, ids)
    detail = {"erasures": [str(each) for each in ids], "extent": request.extent.value}
    audit.insert_audit_entry(connection, now, request.origin.actor, "contacts.erased", detail)


def _refuse_held(connection: Connection, subjects: Sequence[ErasureSubject], now: datetime) -> None:
    held = holds.held_addresses(connection, [each.address_id for each in subjects], now)
    if held:
        ground = min(held.values())
        raise errors.UnderHold(f"not erased while a legal hold lasts: {ground}")


def _changes(plan: _Plan, request: _Request) -> Iterator[Change]:
    new_id = services().new_id
    for subject in (*plan.subjects, *plan.repeated.values()):
        yield from build_erasure_changes(
            (new_id(), new_id()), _named(subject), request.extent, request.origin, request.begun_at
        )


def _named(subject: ErasureSubject) -> Address | HashedAddress:
    """The address for the ledger: as it reads, else by its digest."""
    if subject.text is not None:
        address = restore_address(subject.text, subject.channel)
        if services().keys.exact_digest(address) == subject.digest:
            return address
    return HashedAddress(subject.channel, HashAlgorithm.KEYED, subject.digest)


def _erased_rows(plan: _Plan, request: _Request) -> ErasedRows:
    accounts = plan.accounts if request.extent.rules.of_account else ()
    return ErasedRows(
        [each.address_id for each in plan.subjects],
        [each.digest for each in plan.subjects],
        [each.id for each in accounts],
        request.begun_at,
    )


log = structlog.get_logger()


def tidy_erasures(now: datetime) -> None:
    """Bring erasures to where they should be at `now`; safe to repeat. Raises Unavailable.

    Those without an open task are finished. Five days before an address is forgotten, what a
    tool has not done becomes a task for a person; after 30 days it is forgotten, whatever is
    open. What the journal could not take before is written.
    """
    run_in_transaction(lambda connection: store.finish_erasures(connection, now))
    for tool in run_in_transaction(lambda c: store.hand_over_late_tasks(c, now)):
        log.warning("erasure_handed_over", destination=tool)
    run_in_transaction(lambda connection: store.forget_overdue(connection, now))
    try:
        write_journal()
    except (errors.JournalUnavailable, errors.ReplayPending) as error:
        log.warning("erasure_journal_unavailable", reason=str(error))
