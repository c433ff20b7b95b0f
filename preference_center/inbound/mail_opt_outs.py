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

from preference_center.domain.addresses import Address, Channel
from preference_center.domain.catalogue import parse as parse_catalogue
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.errors import CatalogueError
from preference_center.extensions import services
from preference_center.inbound.mail_recipients import Mail
from preference_center.ledger import record
from preference_center.links import PREFIX_OCTETS, MailReference, recovered
from preference_center.storage.catalogues import current_catalogue, every_text
from preference_center.storage.db.database import run
from preference_center.storage.ledger.addresses import known_by_prefix
from preference_center.storage.mail import pending_mail_opt_outs
from preference_center.storage.mail.pending_mail_opt_outs import Unresolved

log = structlog.get_logger()

PAGE = 1_000
"""Kept opt-outs that are held at once."""
MAILTO = "mailto"
ACTOR = "recipient"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a mail has come to: how many events the ledger has of it now."""

    recorded: int = 0
    kept: int = 0
    """Opt-outs that wait for their address."""
    for_a_person: int = 0
    """Whether the mail is kept for a person to look at."""
    spooled: int = 0
    """Opt-outs on disk, to be recorded once the database is back."""

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            self.recorded + other.recorded,
            self.kept + other.kept,
            self.for_a_person + other.for_a_person,
            self.spooled + other.spooled,
        )


def take(
    mail: Mail, received_at: datetime, method: str = MAILTO, ids: Sequence[UUID] | None = None
) -> Taken:
    """Opt out whoever the tokens of `mail` name; returns once all of it is committed (I1).

    A repeat adds nothing while the opt-out stands (I7). An address that is not known yet is
    kept with its scope: checks honour it at once (I2), and it goes into the ledger as soon
    as the address turns up. `ids` are those of the events, one per token: with the same ids
    again nothing is recorded twice. Raises Unavailable when the database can't be reached;
    the mail may then be handled again.
    """
    ids = ids or event_ids(mail)
    known = _known([reference.digest_prefix for reference in mail.references], mail.writers)
    changes: list[Change] = []
    waiting: list[Unresolved] = []
    for new_id, reference in zip(ids, mail.references, strict=True):
        address = known.get(reference.digest_prefix)
        scope = reference.scope_among(_scopes())
        if address is None or scope is None:
            waiting.append(_kept(new_id, reference, scope, received_at))
        else:
            changes.append(_opt_out(new_id, address, scope, reference, received_at, method))
    if changes:
        record(changes)
    if waiting:
        run(lambda connection: pending_mail_opt_outs.keep(connection, waiting))
    taken = Taken(len(changes), len(waiting))
    if mail.references:
        log.info("opted_out_by_mail", recorded=taken.recorded, kept=taken.kept)
    return taken


def event_ids(mail: Mail) -> list[UUID]:
    """New ids for the events of a mail."""
    return [services().new_id() for _ in mail.references]


def resolve(given: Sequence[Address] = (), scope: str | None = None) -> Taken:
    """Record what was kept and whose address is stored by now, or is among `given`.

    `scope` is a person's word on those of `given` whose topic no catalogue has. Safe to
    repeat, and at any time. Holds at most PAGE rows, however many are kept. Raises Unavailable
    when the database can't be reached.
    """
    keys, recorded = services().keys, 0
    heads = {keys.exact(address)[:PREFIX_OCTETS]: address for address in given}
    scopes = _Scopes(scope, frozenset(heads))
    for start in range(0, len(heads), PAGE):
        some = list(heads)[start : start + PAGE]
        rows = run(partial(pending_mail_opt_outs.of_prefixes, prefixes=some))
        recorded += _record_kept([(row, heads[row.digest_prefix]) for row in rows], scopes)
    after: pending_mail_opt_outs.Place | None = pending_mail_opt_outs.FIRST
    while after is not None:
        page = run(partial(pending_mail_opt_outs.stored_by_now, keys=keys, after=after, limit=PAGE))
        found = [(row, recovered(exact, Channel.EMAIL)) for row, exact in page.rows]
        recorded += _record_kept(found, scopes)
        after = page.next
    if recorded:
        log.info("resolved_opt_outs_by_mail", recorded=recorded)
    return Taken(recorded, run(pending_mail_opt_outs.count))


class _Scopes:
    """What kept opt-outs cover. Catalogues are read once, and only if one of them needs it."""

    def __init__(self, said: str | None, by: Collection[bytes]) -> None:
        """`said` is a person's word on the digest prefixes in `by`."""
        self._said, self._by = said, by
        self._known: Sequence[str] | None = None

    def of(self, row: Unresolved, reference: MailReference) -> str | None:
        """The scope of one opt-out; None while nobody knows."""
        if row.scope is not None:
            return row.scope
        if self._known is None:
            self._known = tuple(_scopes())
        found = reference.scope_among(self._known)
        return self._said if found is None and row.digest_prefix in self._by else found


def _record_kept(found: Sequence[tuple[Unresolved, Address]], scopes: _Scopes) -> int:
    """Record these, as far as their scope is known, and forget them; how many.

    Each under the id that checks have named as their reason meanwhile. The newest time comes
    second: it adds something only if an opt-in lies between.
    """
    rounds: list[list[Change]] = []
    acts: Counter[tuple[Address, str]] = Counter()
    settled = []
    for row, address in found:
        reference = MailReference(row.digest_prefix, row.scope_mark, row.issued_on, row.key_id)
        scope = scopes.of(row, reference)
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
            rounds[number].append(_opt_out(new_id, address, scope, reference, at))
    for changes in rounds:
        record(changes)
    if settled:
        run(lambda connection: pending_mail_opt_outs.settle(connection, settled))
    return len(settled)


def _known(prefixes: Sequence[bytes], claimed: Sequence[Address]) -> Mapping[bytes, Address]:
    """The address that each prefix stands for: out of `claimed`, or stored readable."""
    keys = services().keys
    if not prefixes:
        return {}
    stored = run(lambda connection: known_by_prefix(connection, keys, prefixes))
    found = {
        prefix: recovered(exact, Channel.EMAIL)
        for prefix, exact in stored.items()
        if exact is not None
    }
    heads = {keys.exact(address)[:PREFIX_OCTETS]: address for address in claimed}
    return {prefix: heads[prefix] for prefix in prefixes if prefix in heads} | found


def _scopes() -> Iterator[str]:
    """Every scope that a link may have been made for: today's topics first, then former ones."""
    yield ALL_MARKETING
    with suppress(CatalogueError):
        yield from current_catalogue().topics
    for text in run(every_text):
        with suppress(CatalogueError):
            yield from parse_catalogue(text).topics


def _opt_out(
    new_id: UUID,
    address: Address,
    scope: str,
    reference: MailReference,
    at: datetime,
    method: str = MAILTO,
) -> Change:
    """The person's own "no". The evidence is all that a mail token holds (I8)."""
    evidence = {"method": method, "key_id": reference.key_id}
    if reference.issued_on is not None:
        evidence["issued_on"] = reference.issued_on.isoformat()
    return Change(
        id=new_id,
        kind=Kind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=at,
        received_at=at,
        source=method,
        actor=ACTOR,
        evidence=evidence,
        once=True,
    )


def _kept(new_id: UUID, reference: MailReference, scope: str | None, at: datetime) -> Unresolved:
    return Unresolved(
        id=new_id,
        digest_prefix=reference.digest_prefix,
        scope_mark=reference.scope_mark,
        scope=scope,
        key_id=reference.key_id,
        issued_on=reference.issued_on,
        received_at=at,
        last_received_at=at,
    )
