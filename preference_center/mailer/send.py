"""Send the letters that are due: claim one, hand it to the mail server, settle it.

A letter that was handed over is not handed over again, but for one window that SMTP leaves
open (RFC 1047): the server took it, and we die, or lose the connection or the database,
before that is written down. Then it goes out once more, under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from preference_center.domain.deadlines import email_retry
from preference_center.extensions import Services, services
from preference_center.mail_server import MailServer
from preference_center.mailer.messages import render_email
from preference_center.mailer.smtp_client import (
    SESSION_TIMEOUT,
    PermanentFailure,
    ServerUnavailable,
    SmtpClient,
    SmtpError,
)
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.mail import outbox
from preference_center.storage.mail.outbox import ClaimedEmail, SendResult

log = structlog.get_logger()

EMAIL_LEASE_DURATION = timedelta(seconds=SESSION_TIMEOUT + 30)
"""How long a letter is a worker's own: what it says to the server ends well inside."""


def send_due_emails(server: MailServer, *, until: datetime, stop: Callable[[], bool]) -> int:
    """Send letter by letter until none is due; how many were sent.

    Starts none at or after `until`, nor once `stop()` says so, nor once the server is away.
    """
    context, sent = services(), 0
    with SmtpClient(server, context.settings.public_url) as session:
        while not stop() and context.now() < until:
            session.restart_deadline()  # before the claim, so that it ends before the lease
            lease = context.new_id()
            claim = _claim(lease, context.now())
            if claim is None:
                break
            error = _send(session, context, claim)
            _settle(context, claim, lease, error)
            sent += error is None
            if isinstance(error, ServerUnavailable):
                break
    return sent


def _claim(lease: UUID, now: datetime) -> ClaimedEmail | None:
    return run_in_transaction(
        lambda c: outbox.claim_email(c, lease, now=now, until=now + EMAIL_LEASE_DURATION)
    )


def _send(session: SmtpClient, context: Services, claim: ClaimedEmail) -> Exception | None:
    """What kept the letter from being sent; None if it was."""
    try:
        session.send(render_email(claim.decrypt(context.keys), context.now()))
    except Exception as error:  # noqa: BLE001 - one letter that fails must not hold the others
        return error
    return None


def _settle(context: Services, claim: ClaimedEmail, lease: UUID, error: Exception | None) -> None:
    now, again = context.now(), None
    if error is None:
        fate = SendResult.SENT
    elif isinstance(error, PermanentFailure):
        fate = SendResult.REFUSED
    else:
        fate = SendResult.RETRY_LATER
        jitter = context.random.random()
        again = email_retry(claim.attempts + 1, claim.expires_at, now, jitter=jitter)
    run_in_transaction(lambda c: outbox.settle_email(c, claim.id, lease, fate, next_at=again))
    if error is None:
        log.info("letter_sent", letter=str(claim.id), kind=claim.kind)
    else:
        log.warning("letter_not_sent", letter=str(claim.id), fate=fate, error=_safe_message(error))


def _safe_message(error: Exception) -> str:
    """Ours hold no address; a foreign error's text might (I12)."""
    return (
        f"{type(error).__name__} {error}" if isinstance(error, SmtpError) else type(error).__name__
    )
