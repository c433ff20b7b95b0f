"""Act on a mail to one of our mailboxes: record it, queue it for review, or ignore it.

A mail is never rejected for its content: what is certain is recorded, what is no request is
ignored, and everything else is queued for review.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

import structlog

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address
from preference_center.core.bounces import Bounce, BounceReport, classify_bounce, complaint_scope
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, Change, EventKind
from preference_center.core.links.tokens import MailtoTokenData, hash_scope
from preference_center.core.mime import MailTooComplex
from preference_center.inbound import store
from preference_center.inbound.mail import (
    FoundTokens,
    InboundMail,
    MailboxRecipient,
    attribute,
    find_tokens,
    has_trusted_signature,
    is_our_address,
    is_our_text,
)
from preference_center.inbound.opt_outs import (
    RECIPIENT,
    REPORTER,
    IngestResult,
    mark_complaint,
    record_mail_opt_outs,
)
from preference_center.inbound.rights_mail import handle_rights_mail
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.inbound.rules.text import (
    NONE,
    SIGNED,
    Attribution,
    review_reason,
    scopes_of_tag,
)
from preference_center.inbound.ses_notifications import interpret_ses_notification
from preference_center.inbound.store import ReviewItem
from preference_center.infra.config_sections import MailboxKind, MailboxMatch
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import bounces, record

log = structlog.get_logger()

_EVENT_NAMESPACE = UUID("5b0c2f0e-5b57-4f0b-8f3c-6a0f5f1c9d11")
"""Namespace of the ids of events that are made from a mail."""


@dataclass(frozen=True, slots=True)
class _MailboxMail:
    """An interpreted mail to our mailboxes."""

    fingerprint: bytes
    """A keyed digest of it: a mail that is delivered twice makes the same events."""
    mailboxes: tuple[MailboxRecipient, ...]
    interpretation: MailInterpretation
    tokens: FoundTokens
    received_at: datetime
    is_signed: bool = False
    """Whether it is signed by a reporter that the company trusts."""

    def is_for(self, kind: MailboxKind) -> bool:
        return any(each.mailbox.kind is kind for each in self.mailboxes)

    def event_id(self, *parts: object) -> UUID:
        return uuid5(_EVENT_NAMESPACE, " ".join((self.fingerprint.hex(), *map(str, parts))))


def handle_mailbox_mail(
    mail: InboundMail, head: bytes, size: int, received_at: datetime
) -> IngestResult:
    """Act on a mail to `mail.mailboxes`; returns once all of it is committed (I1).

    `head` is its beginning, `size` its whole size in bytes. The same mail again changes nothing.
    Raises Unavailable when the database can't be reached.
    """
    for_reports = any(at.mailbox.kind is MailboxKind.REPORTS for at in mail.mailboxes)
    interpretation = _interpret(head, for_reports=for_reports, is_whole=size <= len(head))
    references = [at.reference for at in mail.mailboxes if at.reference is not None]
    tokens = find_tokens(interpretation.token_text, references)
    arrived = _MailboxMail(_fingerprint(head), mail.mailboxes, interpretation, tokens, received_at)
    if for_reports and interpretation.kind is not MailKind.REPLY and size <= len(head):
        arrived = replace(arrived, is_signed=_is_signed(head))
    changes, reports, reasons = _classify(arrived)
    if pending := _pending_reference(arrived, references, reasons):
        result = record_mail_opt_outs(
            InboundMail((pending,), mail.claimed_senders), received_at, interpretation.kind
        )
        if interpretation.review_reason is not ReviewReason.HAS_FURTHER_REQUEST:
            return result
        _commit(arrived, (), ReviewReason.HAS_FURTHER_REQUEST, head, size)
        return result + IngestResult(queued_for_review=1)
    if reports:
        evaluations = bounces.evaluate_bounces(reports, services().now())
        changes += [each.change for each in evaluations if each.change]
    reason = next(iter(reasons), None)
    recorded = _commit(arrived, changes, reason, head, size)
    if _open_request(arrived, changes) and reason is None:
        reason = interpretation.review_reason or ReviewReason.UNCLEAR
        _commit(arrived, (), reason, head, size)
    log.info(
        "mail_ingested", form=interpretation.kind, recorded=recorded, review_reason=reason or ""
    )
    return IngestResult(recorded, queued_for_review=int(reason is not None))


def _pending_reference(
    mail: _MailboxMail, references: Sequence[MailtoTokenData], reasons: Sequence[ReviewReason]
) -> MailtoTokenData | None:
    """The token of a mail in which everything is clear but the address: it has half the digest.

    A report that hides its recipient stops what any such report stops, whatever the token's topic.
    """
    statements = mail.interpretation.statements
    if reasons == [ReviewReason.UNCLEAR] and statements and len(references) == 1:
        return references[0]
    if (
        reasons == [ReviewReason.NO_RECIPIENT]
        and len(statements) == len(mail.tokens.references) == 1
        and not mail.tokens.links
    ):
        (reference,) = mail.tokens.references
        scope = _reported_scope(statements[0], reference)
        if scope is None:
            return None
        if statements[0].kind is StatementKind.COMPLAINED:
            return mark_complaint(reference, scope)
        return replace(reference, scope_hash=hash_scope(scope))
    return None


def _reported_scope(statement: MailStatement, reference: MailtoTokenData) -> str | None:
    """What a report about the recipient of a token stops by itself; None if it stops nothing."""
    policy = bounces.current_policy()
    if statement.kind is StatementKind.COMPLAINED:
        return complaint_scope(policy, _topic_of(reference, current_catalogue_or_empty()))
    if statement.bounce is None:
        return None
    threshold = policy.threshold_for(classify_bounce(statement.bounce).code)
    return UNDELIVERABLE if threshold.events == 1 and not threshold.temporary else None


def queue_unread_mail(
    mail: InboundMail, head: bytes, size: int, received_at: datetime
) -> IngestResult:
    """Queue a mail for review that can't be processed, whatever its recipients; once.

    Raises Unavailable when the database can't be reached.
    """
    entry = mail.mailboxes[0].mailbox if mail.mailboxes else MailboxMatch(MailboxKind.REPLIES)
    interpretation = MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.UNREADABLE)
    arrived = _MailboxMail(
        _fingerprint(head),
        (MailboxRecipient(entry, None),),
        interpretation,
        FoundTokens(),
        received_at,
    )
    _commit(arrived, (), ReviewReason.UNREADABLE, head, size)
    return IngestResult(queued_for_review=1)


def _open_request(mail: _MailboxMail, changes: Sequence[Change]) -> bool:
    """Open the data-subject request in a person's mail; returns whether somebody must read it."""
    written, for_rights = mail.interpretation.written, mail.is_for(MailboxKind.RIGHTS)
    if written is None:
        return for_rights and mail.interpretation.kind is MailKind.REPLY
    if not for_rights and not mail.is_for(MailboxKind.REPLIES):
        return False
    about = next((each.address for each in changes if isinstance(each.address, Address)), None)
    if about is None and written.sender and is_our_text(written.sender):
        return True
    objects = bool(mail.interpretation.statements)
    result = handle_rights_mail(
        written, mail.received_at, for_rights=for_rights, about=about, objects=objects
    )
    return result.needs_review


def _fingerprint(head: bytes) -> bytes:
    # By the first key of the chain, so that a mail keeps its own when the digests get a new one.
    return services().keys.digests_by_length(hashlib.sha256(head).digest())[0]


def _commit(
    mail: _MailboxMail,
    changes: Sequence[Change],
    review_reason: ReviewReason | None,
    head: bytes,
    size: int,
) -> int:
    """Record the changes and queue the rest, all or none; returns the number of events."""
    if review_reason is None:
        return len(record(changes).events) if changes else 0
    keys, kind = services().keys, mail.mailboxes[0].mailbox.kind
    item = ReviewItem(mail.event_id("kept"), kind, review_reason, size, mail.received_at)

    def insert_item(connection: Connection) -> None:
        store.insert_item(connection, keys, item, mail.fingerprint, head)

    if not changes:
        run_in_transaction(insert_item)
        return 0
    return len(record(changes, lambda connection, _: insert_item(connection)).events)


def _interpret(head: bytes, *, for_reports: bool, is_whole: bool) -> MailInterpretation:
    try:
        return interpret_ses_notification(head) or interpret_mail(
            head, for_reports=for_reports, is_whole=is_whole
        )
    except MailTooComplex:
        return MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.TOO_COMPLEX)
    except Exception as error:  # noqa: BLE001 - else it would be delivered again and again
        # Without the traceback, which would quote the mail (I12).
        log.error("mail_unreadable", error=type(error).__name__)  # noqa: TRY400 - a trace may quote the mail (I12)
        return MailInterpretation(MailKind.REPLY, review_reason=ReviewReason.UNREADABLE)


def _classify(mail: _MailboxMail) -> tuple[list[Change], list[BounceReport], list[ReviewReason]]:
    """The changes to record, the bounces, and the reasons for a review."""
    changes: list[Change] = []
    reports: list[BounceReport] = []
    has_further_request = mail.interpretation.review_reason is ReviewReason.HAS_FURTHER_REQUEST
    reasons = (
        [mail.interpretation.review_reason]
        if mail.interpretation.review_reason and not has_further_request
        else []
    )
    if reasons == [ReviewReason.UNCLEAR] and mail.is_for(MailboxKind.RIGHTS):
        reasons = []  # it becomes a request, which is read
    if reasons == [ReviewReason.UNCLEAR] and not mail.is_for(MailboxKind.REPLIES):
        reasons = [ReviewReason.WRONG_MAILBOX]
    is_only_recipient = len(mail.interpretation.statements) == 1
    for number, statement in enumerate(mail.interpretation.statements):
        found = attribute(statement, mail.tokens, is_only_recipient=is_only_recipient)
        if found and found.proof == NONE and mail.is_signed:
            found = replace(found, proof=SIGNED)
        reason = _review_reason(mail, statement, found)
        if reason:
            reasons.append(reason)
        elif found and statement.bounce is not None:
            reports.append(_report(mail, number, found, statement.bounce))
        elif found:
            changes.extend(_changes(mail, number, found, statement.kind))
    if has_further_request and not reasons:
        reasons.append(ReviewReason.HAS_FURTHER_REQUEST)
    return changes, reports, reasons


def _review_reason(
    mail: _MailboxMail, statement: MailStatement, attribution: Attribution | None
) -> ReviewReason | None:
    """Why a person must decide; None if nobody must."""
    if statement.bounce is not None and not _affects_suppression(statement.bounce):
        return None
    accepts_unproven = services().settings.unauthenticated_reports == "accept"
    return review_reason(
        mail.interpretation.kind,
        attribution,
        for_replies=mail.is_for(MailboxKind.REPLIES) or mail.is_for(MailboxKind.RIGHTS),
        trusts_reports=accepts_unproven and mail.is_for(MailboxKind.REPORTS),
        is_ours=is_our_address,
    )


def _is_signed(mail: bytes) -> bool:
    reporters = services().settings.trusted_reporter_addresses
    return bool(reporters) and has_trusted_signature(mail, reporters, services().lookup_txt)


def _affects_suppression(bounce: Bounce) -> bool:
    """Whether the policy ever acts on such a bounce."""
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
    """A reply is the person's own act; a report is a third party's statement about it."""
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
    """The scopes of the statement. A token names its topic if the address names none."""
    proof = mail.tokens
    if kind is StatementKind.COMPLAINED:
        return (complaint_scope(bounces.current_policy(), proof.topic),)
    if mail.interpretation.kind is not MailKind.REPLY:
        return (proof.topic or ALL_MARKETING,)
    catalogue = current_catalogue_or_empty()
    named: set[str] = {ALL_MARKETING} if mail.is_for(MailboxKind.RIGHTS) else set()
    for at in mail.mailboxes:
        if at.mailbox.kind is MailboxKind.REPLIES:
            by_token = at.reference and _topic_of(at.reference, catalogue)
            named.update((by_token,) if by_token else scopes_of_tag(at.mailbox.tag, catalogue))
    return (ALL_MARKETING,) if ALL_MARKETING in named else sorted(named)


def _topic_of(reference: MailtoTokenData, catalogue: Catalogue) -> str:
    return reference.match_scope(catalogue.topics) or ALL_MARKETING
