"""This module acts on each mail that is received: by SMTP, from a vendor, or from a maildir.

`process_new` reads opt-outs from a maildir (https://cr.yp.to/proto/maildir.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from preference_center.core.errors import InvalidInput, PreferenceCenterError
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound.mail import parse_inbound_mail
from preference_center.inbound.mailboxes import handle_mailbox_mail, queue_unread_mail
from preference_center.inbound.opt_outs import IngestResult, record_or_spool
from preference_center.infra import metrics
from preference_center.infra.context import services
from preference_center.infra.metrics import InboundKind, InboundOutcome
from preference_center.integrations.base.vendor_events import ReceivedMail

log = structlog.get_logger()

SEEN_FLAG = ":2,S"


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
        metrics.count_inbound(InboundKind.MAIL, InboundOutcome.IGNORED)
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
        metrics.count_inbound(InboundKind.MAIL, InboundOutcome.FAILED)
        result = queue_unread_mail(mail, head, size, received_at)
    metrics.count_inbound(InboundKind.MAIL, _outcome(result))
    return MailResult(result, is_ours=True)


def _outcome(result: IngestResult) -> InboundOutcome:
    if result.queued_for_review or result.pending:
        return InboundOutcome.FOR_REVIEW
    return InboundOutcome.SPOOLED if result.spooled else InboundOutcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class HandledMessage:
    """A message that was processed."""

    name: str
    is_ours: bool
    """Whether it was for a token or mailbox of ours, and was therefore moved."""


def validate_maildir(folder: Path) -> None:
    """Raise InvalidInput unless `folder` is a maildir that we may work in."""
    if not all((folder / part).is_dir() for part in ("new", "cur")):
        raise InvalidInput("this is not a maildir: it needs the folders new and cur")


def process_new(folder: Path, skip: Collection[str] = ()) -> Iterator[HandledMessage]:
    """Process the messages in `new`, the oldest first, except those named in `skip`.

    A message for a token or mailbox of ours is moved to `cur` as seen, after its opt-outs are
    committed (I1); any other stays where it is. Raises Unavailable when the database can't be
    reached: then nothing more is moved.
    """
    found = [path for path in (folder / "new").iterdir() if path.name not in skip]
    for path in sorted(found, key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        handled = _process_message(path, folder)
        if handled is not None:
            yield handled


def _process_message(path: Path, folder: Path) -> HandledMessage | None:
    """Process one message and move it; None if another process was faster.

    A message that can't be read from disk or stored stays in `new` and is logged: it must not
    block those behind it.
    """
    try:
        handled = _ingest_message(path)
        if handled.is_ours:
            path.rename(folder / "cur" / f"{path.name}{SEEN_FLAG}")
    except FileNotFoundError:
        return None
    except PreferenceCenterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the next one may be an opt-out
        log.error("mail_left_in_new", error=type(error).__name__)  # noqa: TRY400 - no quotes (I12)
        return HandledMessage(path.name, is_ours=False)
    return handled


def _ingest_message(path: Path) -> HandledMessage:
    with path.open("rb") as file:
        head = file.read(MAIL_HEAD_BYTES)
    about = path.stat()
    # The MTA wrote it when it reached the company: the 72 hours run from then (I3).
    written = datetime.fromtimestamp(about.st_mtime, UTC)
    at = min(written, services().now())
    return HandledMessage(path.name, ingest_mail(head, None, at, size=about.st_size).is_ours)
