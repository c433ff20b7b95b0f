"""A mail as it comes in, by whichever way: read it and do what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from preference_center.context import services
from preference_center.domain.mail import MAIL_HEAD_BYTES
from preference_center.domain.vendor_events import ReceivedMail
from preference_center.errors import InvalidInput, PreferenceCenterError
from preference_center.inbound.mail_opt_outs import IngestResult
from preference_center.inbound.mail_recipients import parse_inbound_mail
from preference_center.inbound.mailboxes import handle_mailbox_mail, queue_unread_mail
from preference_center.inbound.spooled_mail import record_or_spool

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MailResult:
    """What became of a mail, and whether any of its recipients is ours at all."""

    result: IngestResult
    is_ours: bool


def ingest_received_mail(mail: ReceivedMail, received_at: datetime) -> bool:
    """Take a mail that a vendor received for us; whether any of its recipients is ours."""
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
    """Do what a mail says to those of its recipients that are ours.

    `head` is its beginning, `size` that of all of it in octets. Recipients and sender are the
    envelope's; without one, `recipients` is None and the header tells. Returns once all of it
    is committed, or spooled as far as that is done with opt-outs (I1); raises Unavailable when
    the database can't be reached, and may then be called again. A mail that can't be handled
    is kept for a person: it would fail again, and hold up those behind it.
    """
    context = services()
    doors = context.settings.mailboxes
    mail = parse_inbound_mail(context.links, head, recipients, sender, doors)
    if not mail.is_ours:
        return MailResult(IngestResult(), is_ours=False)
    try:
        taken = record_or_spool(mail, received_at) if mail.references else IngestResult()
        if mail.mailboxes:
            taken += handle_mailbox_mail(mail, head, size, received_at)
    except Exception as error:
        if isinstance(error, PreferenceCenterError) and not isinstance(error, InvalidInput):
            raise  # nothing is wrong with the mail
        # Without the traceback, which would quote the mail (I12).
        log.error("mail_processing_failed", error=type(error).__name__)  # noqa: TRY400
        taken = queue_unread_mail(mail, head, size, received_at)
    return MailResult(taken, is_ours=True)
