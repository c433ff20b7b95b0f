"""This module reads bounces and complaints that Amazon SES reports by mail, through SNS.

The protocol `email` sends the notification as the text of a mail, above a link to unsubscribe from
the SNS topic; `email-json` sends it inside SNS's own JSON.
https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
"""

from __future__ import annotations

import json
import re

from preference_center.core.mime import ParsedMail, parse_mail
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.webhook import JsonObject

_STATEMENT_KINDS = {
    VendorEventKind.BOUNCED: StatementKind.BOUNCED,
    VendorEventKind.COMPLAINED: StatementKind.COMPLAINED,
    VendorEventKind.OPTED_OUT: StatementKind.OPTED_OUT,
}


_NOTIFICATION_HINT = re.compile(rb"notificationType|eventType|amazonaws\.com")
"""One of them is in every notification, however its text is encoded; others are not parsed."""


def interpret_ses_notification(head: bytes) -> MailInterpretation | None:
    """What a notification of SES states; None if the mail is none. Raises MailTooComplex.

    `token_text` is the header of the mail that was sent, if SES is set to include it.
    """
    notification = _notification(parse_mail(head)) if _NOTIFICATION_HINT.search(head) else None
    if notification is None:
        return None
    # Loaded where a notification comes: few companies send by SES.
    from preference_center.integrations.ses.webhook import read_event  # noqa: PLC0415

    events = list(read_event(notification))
    is_bounce = any(event.kind is VendorEventKind.BOUNCED for event in events)
    return MailInterpretation(
        MailKind.DELIVERY_REPORT if is_bounce else MailKind.FEEDBACK_REPORT,
        tuple(_statement(event) for event in events if event.kind in _STATEMENT_KINDS),
        ReviewReason.UNKNOWN_REPORT_TYPE if any(map(_is_unknown, events)) else None,
        token_text=_sent_header(notification),
    )


def _notification(mail: ParsedMail) -> JsonObject | None:
    for text in mail.texts_of_type("text/plain", "application/json")[:1]:
        found = _first_object(text)
        if "Message" in found:
            found = _first_object(found.text("Message"))
        if (found.text("notificationType") or found.text("eventType")) and found.nested("mail"):
            return found
    return None


def _first_object(text: str) -> JsonObject:
    """The JSON object that a text begins with; empty if it begins with none."""
    text = text.lstrip()
    if not text.startswith("{"):
        return JsonObject()
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return JsonObject()
    return JsonObject(found if isinstance(found, dict) else {})


def _statement(event: VendorEvent) -> MailStatement:
    return MailStatement(_STATEMENT_KINDS[event.kind], (event.address,), event.bounce)


def _is_unknown(event: VendorEvent) -> bool:
    return event.kind is VendorEventKind.UNKNOWN_TYPE


def _sent_header(notification: JsonObject) -> str:
    fields = notification.rows("mail", "headers")
    return "\n".join(f"{field.text('name')}: {field.text('value')}" for field in fields)
