"""Emails that anybody can cause, without proof that the mailbox is theirs.

Links to typed addresses, confirmations from forwarded links, and receipts of requests that nobody
has proven share one limit per mailbox. Each has a link to a page that stops them for a time.
"""

from __future__ import annotations

from datetime import datetime

from preference_center.core.addresses import Address, Channel
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.infra.outbox import OutgoingEmail
from preference_center.web.email_stops import find_stop, mailbox_digest

UNPROVEN_EMAIL_RATE = "3 per hour; 10 per day"
"""Per mailbox, all kinds together."""


def may_email(recipient: Address) -> bool:
    """Whether one more such email to this mailbox is within UNPROVEN_EMAIL_RATE; counts it.

    A stop is looked up only when the email is sent, so that asking for it takes the same time.
    """
    context = services()
    digest = mailbox_digest(context.keys, recipient).hex()
    return context.limiter.hit(UNPROVEN_EMAIL_RATE, "email-to", digest)


def emails_stopped(recipient: Address, now: datetime) -> bool:
    """Whether the reader of this mailbox has stopped such emails."""
    keys = services().keys
    return run_autocommit(lambda c: find_stop(c, keys, recipient, now)) is not None


def stop_url(email: OutgoingEmail, host: str | None, now: datetime) -> str:
    """The page, in the language of the email, where the reader stops such emails."""
    links = services().links
    data = {"to": email.recipient.exact}
    token = links.seal_form(FormPurpose.EMAIL_STOP, data, now)
    return f"{links.base_url(host)}/emails/{token}?lang={email.language}"


def read_stop_token(token: str, now: datetime) -> Address:
    """The recipient of the email with this link, of any age. Raises InvalidLink."""
    _, data = services().links.open_form(FormPurpose.EMAIL_STOP, token, None, now)
    return restore_address(data["to"], Channel.EMAIL)
