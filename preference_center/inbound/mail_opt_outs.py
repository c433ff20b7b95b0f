"""What a mail to a mailto opt-out does: into the ledger, or kept until its address is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

import structlog

from preference_center.context import services
from preference_center.domain.addresses import Address, Channel
from preference_center.domain.catalogue import parse_catalogue
from preference_center.domain.events import ALL_MARKETING, Change, EventKind
from preference_center.errors import CatalogueError
from preference_center.inbound.mail_recipients import InboundMail
from preference_center.ledger import record
from preference_center.links import DIGEST_PREFIX_BYTES, MailtoTokenData, restore_address
from preference_center.storage.catalogues import current_catalogue, list_texts
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.ledger.addresses import find_by_digest_prefix
from preference_center.storage.mail import pending_mail_opt_outs
from preference_center.storage.mail.pending_mail_opt_outs import PendingMailOptOut

log = structlog.get_logger()

PAGE_SIZE = 1_000
"""Kept opt-outs that are held at once."""
MAILTO = "mailto"
ACTOR = "recipient"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What a mail has come to: how many events the ledger has of it now."""

    recorded: int = 0
    pending: int = 0
    """Opt-outs that wait for their address."""
    queued_for_review: int = 0
    """Whether the mail is kept for a person to look at."""
    spooled: int = 0
    """Opt-outs on disk, to be recorded once the database is back."""

    def __add__(self, other: IngestResult) -> IngestResult:
        return IngestResult(
            self.recorded + other.recorded,
            self.pending + other.pending,
            self.queued_for_review + other.queued_for_review,
            self.spooled + other.spooled,
        )


def record_mail_opt_outs(
    mail: InboundMail,
    received_at: datetime,
    method: str = MAILTO,
    ids: Sequence[UUID] | None = None,
) -> IngestResult:
    """Opt out whoever the tokens of `mail` name; returns once all of it is committed (I1).

    A repeat adds nothing while the opt-out stands (I7). An address that is not known yet is
    kept with its scope: checks honour it at once (I2), and it goes into the ledger as soon
    as the address turns up. `ids` are those of the events, one per token: with the same ids
    again nothing is recorded twice. Raises Unavailable when the database can't be reached;
    the mail may then be handled again.
    """
    ids = ids or new_event_ids(mail)
    known = _addresses_by_prefix(
        [reference.digest_prefix for reference in mail.references], mail.claimed_senders
    )
    changes: list[Change] = []
    waiting: list[PendingMailOptOut] = []
    for new_id, reference in zip(ids, mail.references, strict=True):
        address = known.get(reference.digest_prefix)
        scope = reference.match_scope(_candidate_scopes())
        if address is None or scope is None:
            waiting.append(_pending_opt_out(new_id, reference, scope, received_at))
        else:
            changes.append(_opt_out_change(new_id, address, scope, reference, received_at, method))
    if changes:
        record(changes)
    if waiting:
        run_in_transaction(
            lambda connection: pending_mail_opt_outs.insert_pending(connection, waiting)
        )
    taken = IngestResult(len(changes), len(waiting))
    if mail.references:
        log.info("mail_opt_outs_recorded", recorded=taken.recorded, pending=taken.pending)
    return taken


def new_event_ids(mail: InboundMail) -> list[UUID]:
    """New ids for the events of a mail."""
    return [services().new_id() for _ in mail.references]


def resolve_pending(addresses: Sequence[Address] = (), scope: str | None = None) -> IngestResult:
    """Record what was kept and whose address is stored by now, or is among `given`.

    `scope` is a person's word on those of `given` whose topic no catalogue has. Safe to
    repeat, and at any time. Holds at most PAGE rows, however many are kept. Raises Unavailable
    when the database can't be reached.
    """
    keys, recorded = services().keys, 0
    heads = {keys.exact_digest(address)[:DIGEST_PREFIX_BYTES]: address for address in addresses}
    scopes = _ScopeResolver(scope, frozenset(heads))
    for start in range(0, len(heads), PAGE_SIZE):
        some = list(heads)[start : start + PAGE_SIZE]
        rows = run_in_transaction(partial(pending_mail_opt_outs.list_by_prefix, prefixes=some))
        recorded += _record_pending([(row, heads[row.digest_prefix]) for row in rows], scopes)
    after: pending_mail_opt_outs.PendingPosition | None = pending_mail_opt_outs.FIRST_POSITION
    while after is not None:
        page = run_in_transaction(
            partial(pending_mail_opt_outs.list_resolvable, keys=keys, after=after, limit=PAGE_SIZE)
        )
        found = [(row, restore_address(exact, Channel.EMAIL)) for row, exact in page.rows]
        recorded += _record_pending(found, scopes)
        after = page.next_position
    if recorded:
        log.info("pending_mail_opt_outs_resolved", recorded=recorded)
    return IngestResult(recorded, run_in_transaction(pending_mail_opt_outs.count_pending))


class _ScopeResolver:
    """What kept opt-outs cover. Catalogues are read once, and only if one of them needs it."""

    def __init__(self, fallback: str | None, fallback_prefixes: Collection[bytes]) -> None:
        """`said` is a person's word on the digest prefixes in `by`."""
        self._said, self._by = fallback, fallback_prefixes
        self._known: Sequence[str] | None = None

    def resolve(self, row: PendingMailOptOut, reference: MailtoTokenData) -> str | None:
        """The scope of one opt-out; None while nobody knows."""
        if row.scope is not None:
            return row.scope
        if self._known is None:
            self._known = tuple(_candidate_scopes())
        found = reference.match_scope(self._known)
        return self._said if found is None and row.digest_prefix in self._by else found


def _record_pending(
    pending: Sequence[tuple[PendingMailOptOut, Address]], scopes: _ScopeResolver
) -> int:
    """Record these, as far as their scope is known, and forget them; how many.

    Each under the id that checks have named as their reason meanwhile. The newest time comes
    second: it adds something only if an opt-in lies between.
    """
    rounds: list[list[Change]] = []
    acts: Counter[tuple[Address, str]] = Counter()
    settled = []
    for row, address in pending:
        reference = MailtoTokenData(row.digest_prefix, row.scope_hash, row.issued_on, row.key_id)
        scope = scopes.resolve(row, reference)
        if scope is None:
            continue
        settled.append(row)
        times = {row.id: row.received_at}
        if row.last_received_at > row.received_at:
            times[uuid5(row.id, row.last_received_at.isoformat())] = row.last_received_at
        for new_id, at in times.items():
            # One transaction would take two acts of one address for a repeat (I7).
            number = acts[address, scope]
            acts[address, scope] += 1
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(_opt_out_change(new_id, address, scope, reference, at))
    for changes in rounds:
        record(changes)
    if settled:
        run_in_transaction(
            lambda connection: pending_mail_opt_outs.delete_resolved(connection, settled)
        )
    return len(settled)


def _addresses_by_prefix(
    prefixes: Sequence[bytes], claimed: Sequence[Address]
) -> Mapping[bytes, Address]:
    """The address that each prefix stands for: out of `claimed`, or stored readable."""
    keys = services().keys
    if not prefixes:
        return {}
    stored = run_in_transaction(
        lambda connection: find_by_digest_prefix(connection, keys, prefixes)
    )
    found = {
        prefix: restore_address(exact, Channel.EMAIL)
        for prefix, exact in stored.items()
        if exact is not None
    }
    heads = {keys.exact_digest(address)[:DIGEST_PREFIX_BYTES]: address for address in claimed}
    return {prefix: heads[prefix] for prefix in prefixes if prefix in heads} | found


def _candidate_scopes() -> Iterator[str]:
    """Every scope that a link may have been made for: today's topics first, then former ones."""
    yield ALL_MARKETING
    with suppress(CatalogueError):
        yield from current_catalogue().topics
    for text in run_in_transaction(list_texts):
        with suppress(CatalogueError):
            yield from parse_catalogue(text).topics


def _opt_out_change(
    new_id: UUID,
    address: Address,
    scope: str,
    reference: MailtoTokenData,
    at: datetime,
    method: str = MAILTO,
) -> Change:
    """The person's own "no". The evidence is all that a mail token holds (I8)."""
    evidence = {"method": method, "key_id": reference.key_id}
    if reference.issued_on is not None:
        evidence["issued_on"] = reference.issued_on.isoformat()
    return Change(
        id=new_id,
        kind=EventKind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=at,
        received_at=at,
        source=method,
        actor=ACTOR,
        evidence=evidence,
        own_act=True,
    )


def _pending_opt_out(
    new_id: UUID, reference: MailtoTokenData, scope: str | None, at: datetime
) -> PendingMailOptOut:
    return PendingMailOptOut(
        id=new_id,
        digest_prefix=reference.digest_prefix,
        scope_hash=reference.scope_hash,
        scope=scope,
        key_id=reference.key_id,
        issued_on=reference.issued_on,
        received_at=at,
        last_received_at=at,
    )
