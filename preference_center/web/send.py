"""Send the emails that are due: claim one, submit it to the mail server, settle it.

An email is submitted once, but for one window that SMTP leaves open (RFC 1047): the server
accepted it, and the process, the connection or the database fails before that is recorded.
Then it is sent again, with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from flask_babel import gettext as _

from preference_center.core.deadlines import email_retry
from preference_center.infra import metrics, outbox
from preference_center.infra.config_sections import MailServer
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import ClaimedEmail, EmailKind, OutgoingEmail, SendResult
from preference_center.infra.smtp_client import (
    SESSION_TIMEOUT,
    PermanentFailure,
    ServerUnavailable,
    SmtpClient,
    SmtpError,
)
from preference_center.web.languages import format_day_and_time
from preference_center.web.messages import render_email
from preference_center.web.unproven_emails import emails_stopped

log = structlog.get_logger()

EMAIL_LEASE_DURATION = timedelta(seconds=SESSION_TIMEOUT + 30)
"""The lease of an email: longer than the SMTP session that sends it may take."""


def send_due_emails(server: MailServer, *, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one email after another until none is due. Returns how many were sent.

    Starts none at or after `until`, once `stop()` is true, or once the server is unavailable.
    """
    context, sent = services(), 0
    with SmtpClient(server, context.settings.public_url) as session:
        while not stop() and context.now() < until:
            session.restart_deadline()  # before the claim, so that it ends before the lease
            lease = context.new_id()
            claim = _claim(lease, context.now())
            if claim is None:
                break
            try:
                result, error = _send(session, context, claim), None
            except Exception as failure:  # noqa: BLE001 - one failure must not delay other emails
                result, error = _result_of(failure), failure
            _settle(context, claim, lease, result)
            _log(claim, result, error)
            metrics.count_email(EmailKind(claim.kind), result)
            sent += result is SendResult.SENT
            if isinstance(error, ServerUnavailable):
                break
    return sent


def _claim(lease: UUID, now: datetime) -> ClaimedEmail | None:
    return run_in_transaction(
        lambda c: outbox.claim_email(c, lease, now=now, until=now + EMAIL_LEASE_DURATION)
    )


def _send(session: SmtpClient, context: Services, claim: ClaimedEmail) -> SendResult:
    """Send an email, unless its reader wants no such emails. Raises what prevented it."""
    email = claim.decrypt(context.keys)
    if email.unproven and emails_stopped(email.recipient, context.now()):
        return SendResult.STOPPED
    session.send(render_email(email, context.now()))
    return SendResult.SENT


def _result_of(error: Exception) -> SendResult:
    return SendResult.REFUSED if isinstance(error, PermanentFailure) else SendResult.RETRY_LATER


def _settle(context: Services, claim: ClaimedEmail, lease: UUID, result: SendResult) -> None:
    now, next_at = context.now(), None
    if result is SendResult.RETRY_LATER:
        jitter = context.random.random()
        next_at = email_retry(claim.attempts + 1, claim.expires_at, now, jitter=jitter)
    run_in_transaction(lambda c: outbox.settle_email(c, claim.id, lease, result, next_at=next_at))


def _log(claim: ClaimedEmail, result: SendResult, error: Exception | None) -> None:
    if result is SendResult.SENT:
        log.info("email_sent", email=str(claim.id), kind=claim.kind)
    elif error is None:
        log.info("email_stopped", email=str(claim.id), kind=claim.kind)
    else:
        log.warning(
            "email_not_sent", email=str(claim.id), result=result, error=_safe_message(error)
        )


def _safe_message(error: Exception) -> str:
    """Our own messages contain no address; those of other errors might (I12)."""
    return (
        f"{type(error).__name__} {error}" if isinstance(error, SmtpError) else type(error).__name__
    )


def valid_until(email: OutgoingEmail) -> str:
    """Until when its link works."""
    return format_day_and_time(email.expires_at)


def works_once(email: OutgoingEmail) -> str:
    """That its link works once, and until when."""
    text: str = _(
        "The link works once, until %(time)s. Please don’t forward it.", time=valid_until(email)
    )
    return text


def ignore_if_not_you() -> str:
    """What to do about an email that somebody else caused."""
    text: str = _("If it was not you, you can ignore this email. Nothing has changed.")
    return text
