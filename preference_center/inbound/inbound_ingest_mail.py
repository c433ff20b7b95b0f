"""Read an incoming mail, however it arrived, and act on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from preference_center.core.errors import InvalidInput, PreferenceCenterError
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound.mail_opt_outs import IngestResult
from preference_center.inbound.mail_recipients import parse_inbound_mail
from preference_center.inbound.mailboxes import handle_mailbox_mail, queue_unread_mail
from preference_center.inbound.spooled_mail import record_or_spool
from preference_center.infra import metrics
from preference_center.infra.context import services
from preference_center.infra.metrics import InboundKind, InboundOutcome
from preference_center.integrations.base.vendor_events import ReceivedMail

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MailResult:
    """The outcome for a mail, and whether any of its recipients is ours."""

    result: IngestResult
    is_ours: bool


def ingest_received_mail(mail: ReceivedMail, received_at: datetime) -> bool:
    """Ingest a mail that a vendor received for us; returns whether any recipient is ours."""
    head, size = mail.content[:MAIL_HEAD_BYTES], len(mail.content)
    return ingest_mail(head, mail.recipients, received_at, size=size, sender=mail.sender).is_ours


def ingest_mail(
    head: bytes,
    recipients: Sequence[str] | None,
    received_at: datetime,
    *,
    size: int,
    sender: str = "",
) -> MailResult:
    """Act on a mail for those of its recipients that are ours.

    `head` is its beginning, `size` its whole size in bytes. Recipients and sender are the
    envelope's; without an envelope, `recipients` is None and the header is used. Returns once
    everything is committed, or opt-outs are spooled (I1). Raises Unavailable when the database
    can't be reached; the mail may then be ingested again. A mail whose processing fails is
    queued for review: it would fail again, and block those behind it.
    """
    context = services()
    mailboxes = context.settings.mailboxes
    mail = parse_inbound_mail(context.links, head, recipients, sender, mailboxes)
    if not mail.is_ours:
        metrics.count_inbound(InboundKind.MAIL, {InboundOutcome.IGNORED: 1})
        return MailResult(IngestResult(), is_ours=False)
    try:
        result = record_or_spool(mail, received_at) if mail.references else IngestResult()
        if mail.mailboxes:
            result += handle_mailbox_mail(mail, head, size, received_at)
    except Exception as error:
        if isinstance(error, PreferenceCenterError) and not isinstance(error, InvalidInput):
            raise  # the mail is not the cause
        # Without the traceback, which would quote the mail (I12).
        log.error("mail_processing_failed", error=type(error).__name__)  # noqa: TRY400
        metrics.count_inbound(InboundKind.MAIL, {InboundOutcome.FAILED: 1})
        result = queue_unread_mail(mail, head, size, received_at)
    metrics.count_inbound(InboundKind.MAIL, {_outcome(result): 1})
    return MailResult(result, is_ours=True)


def _outcome(result: IngestResult) -> InboundOutcome:
    if result.queued_for_review or result.pending:
        return InboundOutcome.FOR_REVIEW
    return InboundOutcome.SPOOLED if result.spooled else InboundOutcome.ACCEPTED
