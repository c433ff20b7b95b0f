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
from preference_center.context import services
from preference_center.domain.addresses import Address
from preference_center.domain.bounces import classify_bounce, complaint_scope
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.bounces.report import BounceReport
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING, Change, EventKind
from preference_center.domain.mail import (
    MailInterpretation,
    MailKind,
    MailStatement,
    MailTooComplex,
    ReviewReason,
    StatementKind,
)
from preference_center.domain.mail.address_fields import parse_addresses
from preference_center.domain.mail.interpret import interpret_mail
from preference_center.domain.mail.mailboxes import MailboxKind, MailboxMatch, scopes_of_tag
from preference_center.errors import CatalogueError
from preference_center.inbound.dkim import has_trusted_signature
from preference_center.inbound.mail_attribution import (
    NONE,
    SIGNED,
    Attribution,
    FoundTokens,
    attribute,
    find_tokens,
)
from preference_center.inbound.mail_opt_outs import IngestResult, record_mail_opt_outs
from preference_center.inbound.mail_recipients import InboundMail, MailboxRecipient
from preference_center.ledger import record
from preference_center.links import MailtoTokenData
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import ReviewItem

log = structlog.get_logger()

RECIPIENT = "recipient"
REPORTER = "reporter"

_EVENT_NAMESPACE = UUID("5b0c2f0e-5b57-4f0b-8f3c-6a0f5f1c9d11")
"""Namespace of the ids of events that are made from what a mail says."""


@dataclass(frozen=True, slots=True)
class _MailboxMail:
    """A mail at our doors, read."""

    fingerprint: bytes
    """A keyed digest of it: a mail that is delivered twice makes the same events."""
    mailboxes: tuple[MailboxRecipient, ...]
    interpretation: MailInterpretation
    tokens: FoundTokens
    received_at: datetime
    is_signed: bool = False
    """Whether a reporter that the company trusts signed it."""

    def is_for(self, kind: MailboxKind) -> bool:
        return any(each.mailbox.kind is kind for each in self.mailboxes)

    def event_id(self, *parts: object) -> UUID:
        return uuid5(_EVENT_NAMESPACE, " ".join((self.fingerprint.hex(), *map(str, parts))))


def handle_mailbox_mail(
    mail: InboundMail, head: bytes, size: int, received_at: datetime
) -> IngestResult:
    """Do what a mail to `mail.doors` says; returns once all of it is committed (I1).

    `head` is its beginning, `size` that of the whole. The same mail again changes nothing.
    Raises Unavailable when the database can't be reached.
    """
    for_reports = any(at.mailbox.kind is MailboxKind.REPORTS for at in mail.mailboxes)
    reading = _interpret(head, for_reports=for_reports, is_whole=size <= len(head))
    references = [at.reference for at in mail.mailboxes if at.reference is not None]
    mark = _fingerprint(head)
    proof = find_tokens(reading.token_text, references)
    arrived = _MailboxMail(mark, mail.mailboxes, reading, proof, received_at)
    if for_reports and reading.kind is not MailKind.REPLY and size <= len(head):
        arrived = replace(arrived, is_signed=_is_signed(head))
    changes, reports, whys = _classify(arrived)
    if whys == [ReviewReason.UNCLEAR] and reading.statements and len(references) == 1:
        # All is clear but the address, of which only half the digest is known.
        taken = record_mail_opt_outs(
            InboundMail(tuple(references), mail.claimed_senders), received_at, reading.kind
        )
        if reading.review_reason is not ReviewReason.HAS_FURTHER_REQUEST:
            return taken
        _commit(arrived, (), ReviewReason.HAS_FURTHER_REQUEST, head, size)
        return taken + IngestResult(queued_for_review=1)
    if reports:
        judged = bounces.evaluate_bounces(reports, services().now())
        changes += [each.change for each in judged if each.change]
    recorded = _commit(arrived, changes, next(iter(whys), None), head, size)
    log.info(
        "mail_ingested", form=reading.kind, recorded=recorded, review_reason=next(iter(whys), "")
    )
    return IngestResult(recorded, queued_for_review=len(whys[:1]))


def queue_unread_mail(
    mail: InboundMail, head: bytes, size: int, received_at: datetime
) -> IngestResult:
    """Keep a mail for a person that can't be handled, whatever it is to; once.

    Raises Unavailable when the database can't be reached.
    """
    entry = mail.mailboxes[0].mailbox if mail.mailboxes else MailboxMatch(MailboxKind.REPLIES)
    reading = MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.UNREADABLE)
    arrived = _MailboxMail(
        _fingerprint(head), (MailboxRecipient(entry, None),), reading, FoundTokens(), received_at
    )
    _commit(arrived, (), ReviewReason.UNREADABLE, head, size)
    return IngestResult(queued_for_review=1)


def _fingerprint(head: bytes) -> bytes:
    return services().keys.digest_sha256(hashlib.sha256(head).digest())


def _commit(
    mail: _MailboxMail,
    changes: Sequence[Change],
    review_reason: ReviewReason | None,
    head: bytes,
    size: int,
) -> int:
    """Record what is certain and keep what is not, all or none; how many events it made."""
    if review_reason is None:
        return len(record(changes).events) if changes else 0
    keys, door = services().keys, mail.mailboxes[0].mailbox.kind
    kept = ReviewItem(mail.event_id("kept"), door, review_reason, size, mail.received_at)

    def keep(connection: Connection) -> None:
        review_queue.insert_item(connection, keys, kept, mail.fingerprint, head)

    if not changes:
        run_in_transaction(keep)
        return 0
    return len(record(changes, lambda connection, _: keep(connection)).events)


def _interpret(head: bytes, *, for_reports: bool, is_whole: bool) -> MailInterpretation:
    try:
        return interpret_mail(head, for_reports=for_reports, is_whole=is_whole)
    except MailTooComplex:
        return MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.TOO_COMPLEX)
    except Exception as error:  # noqa: BLE001 - else it would be sent again and again
        # Without the traceback, which would quote the mail (I12).
        log.error("mail_unreadable", error=type(error).__name__)  # noqa: TRY400 - a trace may quote the mail (I12)
        return MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.UNREADABLE)


def _classify(mail: _MailboxMail) -> tuple[list[Change], list[BounceReport], list[ReviewReason]]:
    """What is to be recorded, what bounced, and what is not certain."""
    changes: list[Change] = []
    reports: list[BounceReport] = []
    asks_more = mail.interpretation.review_reason is ReviewReason.HAS_FURTHER_REQUEST
    whys = (
        [mail.interpretation.review_reason]
        if mail.interpretation.review_reason and not asks_more
        else []
    )
    if whys == [ReviewReason.UNCLEAR] and not mail.is_for(MailboxKind.REPLIES):
        whys = [ReviewReason.WRONG_MAILBOX]
    alone = len(mail.interpretation.statements) == 1
    for number, saying in enumerate(mail.interpretation.statements):
        found = attribute(saying, mail.tokens, is_only_recipient=alone)
        if found and found.proof == NONE and mail.is_signed:
            found = replace(found, proof=SIGNED)
        why = _review_reason(mail, saying, found)
        if why:
            whys.append(why)
        elif found and saying.bounce is not None:
            reports.append(_report(mail, number, found, saying.bounce))
        elif found:
            changes.extend(_changes(mail, number, found, saying.kind))
    if asks_more and not whys:
        whys.append(ReviewReason.HAS_FURTHER_REQUEST)
    return changes, reports, whys


def _review_reason(
    mail: _MailboxMail, statement: MailStatement, attribution: Attribution | None
) -> ReviewReason | None:
    """Why a person has to decide, if one has to."""
    if statement.bounce is not None and not _affects_suppression(statement.bounce):
        return None
    if mail.interpretation.kind is MailKind.REPLY:
        if not mail.is_for(MailboxKind.REPLIES):
            return ReviewReason.WRONG_MAILBOX
        return None if attribution else ReviewReason.UNCLEAR
    if attribution is None or (
        attribution.proof in {NONE, SIGNED} and _is_our_address(attribution.address)
    ):
        return ReviewReason.NO_RECIPIENT
    believed = services().settings.unauthenticated_reports == "accept" and mail.is_for(
        MailboxKind.REPORTS
    )
    return None if believed or attribution.proof != NONE else ReviewReason.UNPROVEN


def _is_signed(mail: bytes) -> bool:
    reporters = services().settings.trusted_reporter_addresses
    return bool(reporters) and has_trusted_signature(mail, reporters, services().lookup_txt)


def _is_our_address(address: Address) -> bool:
    """Whether mail comes from it, or to us by it: nobody's mailbox that we mail to."""
    settings, catalogue = services().settings, _catalogue()
    senders = [settings.mail_from]
    senders += [brand.sender for brand in catalogue.brands.values()] if catalogue else []
    ours = {name.casefold() for name in parse_addresses([each for each in senders if each])}
    name = address.exact.casefold()
    domain = settings.unsubscribe_mail_domain
    return (
        name in ours
        or settings.mailboxes.match(name) is not None
        or (bool(domain) and name.endswith(f"@{domain}"))
    )


def _affects_suppression(bounce: Bounce) -> bool:
    """Whether the policy would ever do anything about such a bounce."""
    return bool(bounces.current_policy().threshold_for(classify_bounce(bounce).code).events)


def _report(
    mail: _MailboxMail, number: int, attribution: Attribution, bounce: Bounce
) -> BounceReport:
    return BounceReport(
        id=mail.event_id(number),
        address=attribution.address,
        bounce=bounce,
        bounced_at=mail.received_at,
        received_at=mail.received_at,
        source=mail.interpretation.kind,
        actor=REPORTER,
        evidence={"method": mail.interpretation.kind.value, "proof": attribution.proof},
    )


def _changes(
    mail: _MailboxMail, number: int, attribution: Attribution, kind: StatementKind
) -> Iterator[Change]:
    """A reply is the person's own act at our door; a report is somebody else's word of it."""
    form, is_own = mail.interpretation.kind, mail.interpretation.kind is MailKind.REPLY
    for scope in _scopes(mail, kind):
        yield Change(
            id=mail.event_id(number, scope),
            kind=EventKind.COMPLAINED if kind is StatementKind.COMPLAINED else EventKind.OPTED_OUT,
            address=attribution.address,
            scope=scope,
            occurred_at=mail.received_at,
            received_at=mail.received_at,
            source=form,
            actor=RECIPIENT if is_own else REPORTER,
            evidence={"method": form.value, "proof": attribution.proof},
            own_act=is_own,
        )


def _scopes(mail: _MailboxMail, kind: StatementKind) -> Sequence[str]:
    """What the saying is about. A token names its topic where the address has nothing else."""
    proof = mail.tokens
    if kind is StatementKind.COMPLAINED:
        return (complaint_scope(bounces.current_policy(), proof.topic),)
    if mail.interpretation.kind is not MailKind.REPLY:
        return (proof.topic or ALL_MARKETING,)
    catalogue = _catalogue()
    named: set[str] = set()
    for at in mail.mailboxes:
        if at.mailbox.kind is MailboxKind.REPLIES:
            by_token = at.reference and _topic_of(at.reference, catalogue)
            named.update((by_token,) if by_token else scopes_of_tag(at.mailbox.tag, catalogue))
    return (ALL_MARKETING,) if ALL_MARKETING in named else sorted(named)


def _topic_of(reference: MailtoTokenData, catalogue: Catalogue | None) -> str:
    known = catalogue.topics if catalogue else ()
    return reference.match_scope(known) or ALL_MARKETING


def _catalogue() -> Catalogue | None:
    try:
        return current_catalogue()
    except CatalogueError:
        return None
