"""What a mail to an address set aside does: into the ledger, to a person, or nothing.

A mail is never refused for what it says: what is certain is recorded, what is nobody's wish
is forgotten, and all the rest is kept for a person to look at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

import structlog

from preference_center import bounces
from preference_center.bounces import Report
from preference_center.domain.addresses import Address
from preference_center.domain.bounces import classify, complaint_scope
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.domain.mail import Form, Reading, Said, Saying, TooComplex, Why
from preference_center.domain.mail.address_fields import addresses_in
from preference_center.domain.mail.interpret import read
from preference_center.domain.mail.mailboxes import Door, Entry, scopes
from preference_center.errors import CatalogueError
from preference_center.extensions import services
from preference_center.inbound.dkim import is_signed
from preference_center.inbound.mail_attribution import NONE, SIGNED, Proof, Whose, proof_in, whose
from preference_center.inbound.mail_opt_outs import Taken, take
from preference_center.inbound.mail_recipients import AtDoor, Mail
from preference_center.ledger import record
from preference_center.links import MailReference
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import KeptMail

log = structlog.get_logger()

RECIPIENT = "recipient"
REPORTER = "reporter"

_MAILS = UUID("5b0c2f0e-5b57-4f0b-8f3c-6a0f5f1c9d11")
"""Namespace of the ids of events that are made from what a mail says."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A mail at our doors, read."""

    mark: bytes
    """A keyed digest of it: a mail that is delivered twice makes the same events."""
    doors: tuple[AtDoor, ...]
    reading: Reading
    proof: Proof
    received_at: datetime
    is_signed: bool = False
    """Whether a reporter that the company trusts signed it."""

    def has(self, door: Door) -> bool:
        return any(each.entry.door is door for each in self.doors)

    def id(self, *parts: object) -> UUID:
        return uuid5(_MAILS, " ".join((self.mark.hex(), *map(str, parts))))


def take_at_doors(mail: Mail, head: bytes, size: int, received_at: datetime) -> Taken:
    """Do what a mail to `mail.doors` says; returns once all of it is committed (I1).

    `head` is its beginning, `size` that of the whole. The same mail again changes nothing.
    Raises Unavailable when the database can't be reached.
    """
    for_reports = any(at.entry.door is Door.REPORTS for at in mail.doors)
    reading = _read(head, for_reports=for_reports, is_whole=size <= len(head))
    references = [at.reference for at in mail.doors if at.reference is not None]
    mark = _mark(head)
    proof = proof_in(reading.ours, references)
    arrived = _Arrived(mark, mail.doors, reading, proof, received_at)
    if for_reports and reading.form is not Form.REPLY and size <= len(head):
        arrived = replace(arrived, is_signed=_is_signed(head))
    changes, reports, whys = _weigh(arrived)
    if whys == [Why.NOT_CLEAR] and reading.sayings and len(references) == 1:
        # All is clear but the address, of which only half the digest is known.
        taken = take(Mail(tuple(references), mail.writers), received_at, reading.form)
        if reading.why is not Why.ASKS_MORE:
            return taken
        _commit(arrived, (), Why.ASKS_MORE, head, size)
        return taken + Taken(for_a_person=1)
    if reports:
        judged = bounces.bounced(reports)
        changes += [each.change for each in judged if each.change]
    recorded = _commit(arrived, changes, next(iter(whys), None), head, size)
    log.info("mail_taken", form=reading.form, recorded=recorded, for_a_person=next(iter(whys), ""))
    return Taken(recorded, for_a_person=len(whys[:1]))


def keep_unread(mail: Mail, head: bytes, size: int, received_at: datetime) -> Taken:
    """Keep a mail for a person that can't be handled, whatever it is to; once.

    Raises Unavailable when the database can't be reached.
    """
    entry = mail.doors[0].entry if mail.doors else Entry(Door.REPLIES)
    reading = Reading(Form.REPLY, why=Why.UNREADABLE)
    arrived = _Arrived(_mark(head), (AtDoor(entry, None),), reading, Proof(), received_at)
    _commit(arrived, (), Why.UNREADABLE, head, size)
    return Taken(for_a_person=1)


def _mark(head: bytes) -> bytes:
    return services().keys.digest_sha256(hashlib.sha256(head).digest())


def _commit(
    arrived: _Arrived, changes: Sequence[Change], why: Why | None, head: bytes, size: int
) -> int:
    """Record what is certain and keep what is not, all or none; how many events it made."""
    if why is None:
        return len(record(changes).events) if changes else 0
    keys, door = services().keys, arrived.doors[0].entry.door
    kept = KeptMail(arrived.id("kept"), door, why, size, arrived.received_at)

    def keep(connection: Connection) -> None:
        review_queue.keep(connection, keys, kept, arrived.mark, head)

    if not changes:
        run(keep)
        return 0
    return len(record(changes, lambda connection, _: keep(connection)).events)


def _read(head: bytes, *, for_reports: bool, is_whole: bool) -> Reading:
    try:
        return read(head, for_reports=for_reports, is_whole=is_whole)
    except TooComplex:
        return Reading(Form.REPLY, why=Why.TOO_COMPLEX)
    except Exception as error:  # noqa: BLE001 - else it would be sent again and again
        # Without the traceback, which would quote the mail (I12).
        log.error("mail_unreadable", error=type(error).__name__)  # noqa: TRY400 - a trace may quote the mail (I12)
        return Reading(Form.REPLY, why=Why.UNREADABLE)


def _weigh(arrived: _Arrived) -> tuple[list[Change], list[Report], list[Why]]:
    """What is to be recorded, what bounced, and what is not certain."""
    changes: list[Change] = []
    reports: list[Report] = []
    asks_more = arrived.reading.why is Why.ASKS_MORE
    whys = [arrived.reading.why] if arrived.reading.why and not asks_more else []
    if whys == [Why.NOT_CLEAR] and not arrived.has(Door.REPLIES):
        whys = [Why.WRONG_DOOR]
    alone = len(arrived.reading.sayings) == 1
    for number, saying in enumerate(arrived.reading.sayings):
        found = whose(saying, arrived.proof, alone=alone)
        if found and found.proof == NONE and arrived.is_signed:
            found = replace(found, proof=SIGNED)
        why = _doubt(arrived, saying, found)
        if why:
            whys.append(why)
        elif found and saying.bounce is not None:
            reports.append(_report(arrived, number, found, saying.bounce))
        elif found:
            changes.extend(_changes(arrived, number, found, saying.said))
    if asks_more and not whys:
        whys.append(Why.ASKS_MORE)
    return changes, reports, whys


def _doubt(arrived: _Arrived, saying: Saying, found: Whose | None) -> Why | None:
    """Why a person has to decide, if one has to."""
    if saying.bounce is not None and not _matters(saying.bounce):
        return None
    if arrived.reading.form is Form.REPLY:
        if not arrived.has(Door.REPLIES):
            return Why.WRONG_DOOR
        return None if found else Why.NOT_CLEAR
    if found is None or (found.proof in {NONE, SIGNED} and _is_our_own(found.address)):
        return Why.NO_RECIPIENT
    believed = services().settings.unproven_reports == "believe" and arrived.has(Door.REPORTS)
    return None if believed or found.proof != NONE else Why.NOT_PROVED


def _is_signed(mail: bytes) -> bool:
    reporters = services().settings.reporters
    return bool(reporters) and is_signed(mail, reporters, services().txt_record)


def _is_our_own(address: Address) -> bool:
    """Whether mail comes from it, or to us by it: nobody's mailbox that we mail to."""
    settings, catalogue = services().settings, _catalogue()
    senders = [settings.mail_from]
    senders += [brand.sender for brand in catalogue.brands.values()] if catalogue else []
    ours = {name.casefold() for name in addresses_in([each for each in senders if each])}
    name = address.exact.casefold()
    domain = settings.unsubscribe_mail_domain
    return (
        name in ours
        or settings.mail_doors.entry(name) is not None
        or (bool(domain) and name.endswith(f"@{domain}"))
    )


def _matters(bounce: Bounce) -> bool:
    """Whether the policy would ever do anything about such a bounce."""
    return bool(bounces.policy().threshold(classify(bounce).code).events)


def _report(arrived: _Arrived, number: int, found: Whose, bounce: Bounce) -> Report:
    return Report(
        id=arrived.id(number),
        address=found.address,
        bounce=bounce,
        at=arrived.received_at,
        received_at=arrived.received_at,
        source=arrived.reading.form,
        actor=REPORTER,
        evidence={"method": arrived.reading.form.value, "proof": found.proof},
    )


def _changes(arrived: _Arrived, number: int, found: Whose, said: Said) -> Iterator[Change]:
    """A reply is the person's own act at our door; a report is somebody else's word of it."""
    form, is_own = arrived.reading.form, arrived.reading.form is Form.REPLY
    for scope in _scopes(arrived, said):
        yield Change(
            id=arrived.id(number, scope),
            kind=Kind.COMPLAINED if said is Said.COMPLAINED else Kind.OPTED_OUT,
            address=found.address,
            scope=scope,
            occurred_at=arrived.received_at,
            received_at=arrived.received_at,
            source=form,
            actor=RECIPIENT if is_own else REPORTER,
            evidence={"method": form.value, "proof": found.proof},
            once=is_own,
        )


def _scopes(arrived: _Arrived, said: Said) -> Sequence[str]:
    """What the saying is about. A token names its topic where the address has nothing else."""
    proof = arrived.proof
    if said is Said.COMPLAINED:
        return (complaint_scope(bounces.policy(), proof.topic),)
    if arrived.reading.form is not Form.REPLY:
        return (proof.topic or ALL_MARKETING,)
    catalogue = _catalogue()
    named: set[str] = set()
    for at in arrived.doors:
        if at.entry.door is Door.REPLIES:
            by_token = at.reference and _topic_of(at.reference, catalogue)
            named.update((by_token,) if by_token else scopes(at.entry.word, catalogue))
    return (ALL_MARKETING,) if ALL_MARKETING in named else sorted(named)


def _topic_of(reference: MailReference, catalogue: Catalogue | None) -> str:
    known = catalogue.topics if catalogue else ()
    return reference.scope_among(known) or ALL_MARKETING


def _catalogue() -> Catalogue | None:
    try:
        return current_catalogue()
    except CatalogueError:
        return None
