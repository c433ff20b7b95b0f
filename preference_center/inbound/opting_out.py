"""What a mail to a mailto opt-out does: into the ledger, or kept until its address is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

import structlog

from preference_center.domain.addresses import Address, Channel
from preference_center.domain.catalogue import parse as parse_catalogue
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.errors import CatalogueError
from preference_center.extensions import services
from preference_center.inbound.mailto import Mail
from preference_center.ledger import record
from preference_center.links import PREFIX_OCTETS, MailReference, recovered
from preference_center.storage import unresolved
from preference_center.storage.addresses import known_by_prefix
from preference_center.storage.catalogues import current_catalogue, every_text
from preference_center.storage.database import run
from preference_center.storage.unresolved import Unresolved

log = structlog.get_logger()

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
        run(lambda connection: unresolved.keep(connection, waiting))
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
    repeat, and at any time. Raises Unavailable when the database can't be reached.
    """
    rows = run(unresolved.every)
    known = _known([row.digest_prefix for row in rows], given)
    said = {services().keys.exact(address)[:PREFIX_OCTETS] for address in given}
    settled = []
    for row in rows:
        address = known.get(row.digest_prefix)
        reference = MailReference(row.digest_prefix, row.scope_mark, row.issued_on, row.key_id)
        meant = row.scope or reference.scope_among(_scopes())
        if meant is None and row.digest_prefix in said:
            meant = scope
        if address is not None and meant is not None:
            _record_kept(row, reference, address, meant)
            settled.append(row)
    if settled:
        run(lambda connection: unresolved.settle(connection, settled))
        log.info("resolved_opt_outs_by_mail", recorded=len(settled))
    return Taken(len(settled), len(rows) - len(settled))


def _record_kept(row: Unresolved, reference: MailReference, address: Address, scope: str) -> None:
    """Record it under the id that checks have named as their reason meanwhile.

    Its newest time comes second: it adds something only if an opt-in lies between.
    """
    record([_opt_out(row.id, address, scope, reference, row.received_at)])
    if row.last_received_at > row.received_at:
        again = uuid5(row.id, row.last_received_at.isoformat())
        record([_opt_out(again, address, scope, reference, row.last_received_at)])


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
