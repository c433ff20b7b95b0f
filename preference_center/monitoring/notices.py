"""Send a notice about an alert: by email, or by a webhook.

Both are for the company's own staff, so they are in English. They name conditions, destinations
and folders, never an address.
"""

from __future__ import annotations

import json
from email.message import EmailMessage
from enum import StrEnum

from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import services
from preference_center.infra.smtp_client import SmtpClient, SmtpError
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.network import split_url
from preference_center.monitoring.rules import Notice


class NoticeNotSent(PreferenceCenterError):
    """A notice could not be sent; the message states why, without a secret."""


class NoticeChannel(StrEnum):
    """How a notice is sent."""

    EMAIL = "email"
    """To ALERT_EMAIL."""
    WEBHOOK = "webhook"
    """To ALERT_WEBHOOK."""


def list_channels() -> list[NoticeChannel]:
    """Those that are configured."""
    settings = services().settings
    given = {
        NoticeChannel.EMAIL: settings.alert_email,
        NoticeChannel.WEBHOOK: settings.alert_webhook,
    }
    return [channel for channel, value in given.items() if value]


def send_notice(channel: NoticeChannel, notice: Notice) -> None:
    """Send it. Raises NoticeNotSent, whose message has no secret."""
    match channel:
        case NoticeChannel.EMAIL:
            _send_email(notice)
        case NoticeChannel.WEBHOOK:
            _send_webhook(notice)


def _send_email(notice: Notice) -> None:
    settings = services().settings
    server = settings.mail_server
    if server is None or not settings.alert_email:
        raise NoticeNotSent("ALERT_EMAIL is no longer set")
    message = EmailMessage()
    message["From"], message["To"] = settings.mail_from, settings.alert_email
    message["Subject"] = f"Preference center: {notice.title}"
    message["Date"] = notice.at
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5
    message.set_content(f"{notice.text}\n\n{settings.public_url}\n")
    try:
        with SmtpClient(server, settings.public_url) as client:
            client.send(message)
    except SmtpError as error:
        raise NoticeNotSent(f"{type(error).__name__} {error}") from None


def _send_webhook(notice: Notice) -> None:
    url = services().settings.alert_webhook
    if not url:
        raise NoticeNotSent("ALERT_WEBHOOK is no longer set")
    body = {
        "text": f"{notice.title}\n{notice.text}",  # chat programs show this
        "kind": notice.alert.kind,
        "subject": notice.alert.subject,
        "state": "ended" if notice.has_ended else "began",
        "at": notice.at.isoformat(),
    }
    origin, path = split_url(url)
    http = HttpContext(now=services().now, allow_private=True)
    try:
        with http.session("alerts", origin) as session:
            session.send(
                "POST",
                "ALERT_WEBHOOK",
                raw_path=path,
                body=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
    except DeliveryError as error:
        raise NoticeNotSent(str(error)) from None
