"""This module records opt-outs by mail to a mailto token, and bounces that only a token identifies.

What can't be recorded now is spooled (I1). An opt-out is pending until its address is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from uuid import UUID, uuid5

import structlog

from preference_center.catalogue import parse_catalogue
from preference_center.catalogue.store import current_catalogue_or_empty, list_texts
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import CatalogueError, InvalidInput
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, Change, EventKind
from preference_center.core.links.tokens import MailtoTokenData, hash_scope, restore_address
from preference_center.inbound.mail import InboundMail
from preference_center.inbound.rules import MailKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, spool
from preference_center.ledger.store import suppressions
from preference_center.ledger.store.addresses import digest_prefixes, find_by_digest_prefix
from preference_center.ledger.store.suppressions import PendingMailOptOut

log = structlog.get_logger()


PAGE_SIZE = 1_000
"""Pending opt-outs that are in memory at a time."""


MAILTO = "mailto"


_METHODS_OF_REPORTS = {
    EventKind.BOUNCED: MailKind.DELIVERY_REPORT.value,
    EventKind.COMPLAINED: MailKind.FEEDBACK_REPORT.value,
}
"""The methods of events that a report states."""


RECIPIENT, REPORTER = "recipient", "reporter"
"""Actors of events that are made from a mail."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The outcome for a mail. `recorded` is the number of its events in the ledger."""

    recorded: int = 0
    pending: int = 0
    """Opt-outs whose address is not known yet."""
    queued_for_review: int = 0
    """Whether the mail was queued for review."""
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
    now: datetime | None = None,
) -> IngestResult:
    """Opt out the addresses of the tokens of `mail`; returns once all is committed (I1).

    A repeat adds nothing while the opt-out is active (I7). An opt-out whose address is not known
    yet is stored as pending with its scope: checks honour it at once (I2), and it is recorded
    as soon as the address becomes known. `ids` are those of the events, one per token: the same
    ids again record nothing twice. `now` is that of `record`. Raises Unavailable when the database
    can't be reached; the mail may then be handled again.
    """
    ids = ids or new_event_ids(mail)
    known = _addresses_by_prefix(
        [reference.digest_prefix for reference in mail.references], mail.claimed_senders
    )
    changes: list[Change] = []
    waiting: list[PendingMailOptOut] = []
    for new_id, reference in zip(ids, mail.references, strict=True):
        address = known.get(reference.digest_prefix)
        scope = _match_scope(reference)
        if address is None or scope is None:
            waiting.append(_pending_opt_out(new_id, reference, scope, received_at))
        else:
            changes.append(_opt_out_change(new_id, address, scope, reference, received_at, method))
    if changes:
        record(changes, now=now)
    if waiting:
        run_in_transaction(lambda connection: suppressions.insert_pending(connection, waiting))
    result = IngestResult(len(changes), len(waiting))
    if mail.references:
        log.info("mail_opt_outs_recorded", recorded=result.recorded, pending=result.pending)
    return result


def new_event_ids(mail: InboundMail) -> list[UUID]:
    """New ids for the events of a mail."""
    return [services().new_id() for _ in mail.references]


def resolve_pending(addresses: Sequence[Address] = (), scope: str | None = None) -> IngestResult:
    """Record pending opt-outs whose address is stored by now, or is among `addresses`.

    `scope` applies to those of `addresses` whose topic no catalogue has. Safe to repeat, at any
    time. Holds at most PAGE_SIZE rows in memory. Raises Unavailable when the database can't be
    reached.
    """
    keys, recorded = services().keys, 0
    heads = _by_prefix(addresses)
    scopes = _ScopeResolver(scope, frozenset(heads))
    for start in range(0, len(heads), PAGE_SIZE):
        some = list(heads)[start : start + PAGE_SIZE]
        rows = run_in_transaction(partial(suppressions.list_by_prefix, prefixes=some))
        recorded += _record_pending([(row, heads[row.digest_prefix]) for row in rows], scopes)
    after: suppressions.PendingPosition | None = suppressions.FIRST_POSITION
    while after is not None:
        page = run_in_transaction(
            partial(suppressions.list_resolvable, keys=keys, after=after, limit=PAGE_SIZE)
        )
        found = [(row, restore_address(exact, Channel.EMAIL)) for row, exact in page.rows]
        recorded += _record_pending(found, scopes)
        after = page.next_position
    if recorded:
        log.info("pending_mail_opt_outs_resolved", recorded=recorded)
    return IngestResult(recorded, run_in_transaction(suppressions.count_pending))


class _ScopeResolver:
    """The scopes of pending opt-outs. Catalogues are loaded once, and only if needed."""

    def __init__(self, fallback: str | None, fallback_prefixes: Collection[bytes]) -> None:
        """`fallback` is the scope that a person chose for the digests in `fallback_prefixes`."""
        self._fallback, self._fallback_prefixes = fallback, fallback_prefixes
        self._known: Sequence[str] | None = None

    def resolve(self, row: PendingMailOptOut, reference: MailtoTokenData) -> str | None:
        """The scope of one opt-out; None if it is not known."""
        if row.scope is not None:
            return row.scope
        if self._known is None:
            self._known = tuple(_candidate_scopes())
        found = reference.match_scope(self._known)
        return (
            self._fallback
            if found is None and row.digest_prefix in self._fallback_prefixes
            else found
        )


def _record_pending(
    pending: Sequence[tuple[PendingMailOptOut, Address]], scopes: _ScopeResolver
) -> int:
    """Record these, as far as their scope is known, and delete them; returns how many.

    Each under the id that checks have returned as their reason until now. The newest time is
    recorded second: it adds something only if an opt-in lies between.
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
            # One transaction would treat two acts of one address as a repeat (I7).
            number = acts[address, scope]
            acts[address, scope] += 1
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(_opt_out_change(new_id, address, scope, reference, at))
    for changes in rounds:
        record(changes)
    if settled:
        run_in_transaction(lambda connection: suppressions.delete_resolved(connection, settled))
    return len(settled)


def _addresses_by_prefix(
    prefixes: Sequence[bytes], claimed: Sequence[Address]
) -> Mapping[bytes, Address]:
    """The address of each prefix: one of `claimed`, or stored readable."""
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
    heads = _by_prefix(claimed)
    return {prefix: heads[prefix] for prefix in prefixes if prefix in heads} | found


def _by_prefix(addresses: Iterable[Address]) -> dict[bytes, Address]:
    keys = services().keys
    return {prefix: each for each in addresses for prefix in digest_prefixes(keys, each)}


def mark_complaint(reference: MailtoTokenData, scope: str) -> MailtoTokenData:
    """The reference of a complaint that stops `scope`, while its address is not known.

    Its hash differs from that of an opt-out of the scope: both may be pending, each in its row.
    """
    return replace(reference, scope_hash=_complaint_hash(scope))


def _complaint_hash(scope: str) -> bytes:
    return hash_scope(f"{EventKind.COMPLAINED.value} {scope}")


def _match_scope(reference: MailtoTokenData) -> str | None:
    """The scope of an opt-out, a bounce or a complaint; None if no catalogue has had its topic."""
    hashes = {reference.scope_hash}
    return next(
        (
            scope
            for scope in _candidate_scopes()
            if hashes & {hash_scope(scope), _complaint_hash(scope)}
        ),
        None,
    )


def _kind_of(reference: MailtoTokenData, scope: str) -> EventKind:
    """What a person did, or a report states."""
    if scope == UNDELIVERABLE:
        return EventKind.BOUNCED
    is_complaint = reference.scope_hash == _complaint_hash(scope)
    return EventKind.COMPLAINED if is_complaint else EventKind.OPTED_OUT


def _candidate_scopes() -> Iterator[str]:
    """Every scope that a link may have been made for: current topics first, then former ones."""
    yield from (ALL_MARKETING, UNDELIVERABLE)
    yield from current_catalogue_or_empty().topics
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
    """The person's own opt-out, or the report of a bounce or complaint, which is pending like one.

    The evidence is all that a mail token contains (I8).
    """
    kind = _kind_of(reference, scope)
    method = _METHODS_OF_REPORTS.get(kind, method)
    evidence = {"method": method, "key_id": reference.key_id}
    if reference.issued_on is not None:
        evidence["issued_on"] = reference.issued_on.isoformat()
    return Change(
        id=new_id,
        kind=kind,
        address=address,
        scope=scope,
        occurred_at=at,
        received_at=at,
        source=method,
        actor=REPORTER if kind in _METHODS_OF_REPORTS else RECIPIENT,
        evidence=evidence,
        own_act=kind not in _METHODS_OF_REPORTS,
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


SPOOLED_MAIL = "mail"


def record_or_spool(mail: InboundMail, received_at: datetime) -> IngestResult:
    """Record the opt-outs, or spool what is needed to do so later.

    Raises what prevented it, or SpoolUnavailable, if neither is possible.
    """
    ids = new_event_ids(mail)
    try:
        with spool.attempt_to_record():
            return record_mail_opt_outs(mail, received_at, MAILTO, ids)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the person has said "stop"
        data = {
            "ids": [*map(str, ids)],
            "references": [*map(_reference_to_json, mail.references)],
            "writers": [writer.exact for writer in mail.claimed_senders],
            "received_at": received_at.isoformat(),
        }
        spool.spool_request(SPOOLED_MAIL, data, received_at, error)
        return IngestResult(spooled=len(ids))


def record_spooled(requests: Sequence[spool.SpooledRequest], now: datetime) -> None:
    """Record what was spooled. Raises Unavailable while that is not possible; safe to repeat."""
    for request in requests:
        data = request.data
        mail = InboundMail(
            tuple(map(_reference_from_json, data["references"])),
            tuple(map(_restore_address, data["writers"])),
        )
        received_at = request.parse_time(data["received_at"])
        record_mail_opt_outs(mail, received_at, MAILTO, [*map(UUID, data["ids"])], now)


def _restore_address(exact: str) -> Address:
    return restore_address(exact, Channel.EMAIL)


def _reference_to_json(reference: MailtoTokenData) -> dict[str, str | None]:
    return {
        "digest_prefix": reference.digest_prefix.hex(),
        "scope_mark": reference.scope_hash.hex(),
        "issued_on": None if reference.issued_on is None else reference.issued_on.isoformat(),
        "key_id": reference.key_id,
    }


def _reference_from_json(data: Mapping[str, str | None]) -> MailtoTokenData:
    issued_on = data["issued_on"]
    return MailtoTokenData(
        bytes.fromhex(str(data["digest_prefix"])),
        bytes.fromhex(str(data["scope_mark"])),
        None if issued_on is None else date.fromisoformat(issued_on),
        str(data["key_id"]),
    )
