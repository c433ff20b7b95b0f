"""MailerSend's webhooks, signed with HMAC-SHA256 over the body.

https://developers.mailersend.com/api/v1/webhooks.html
The signature covers no time of sending; an event has an id, and counts once. Before a webhook is
saved MailerSend tries the URL with a `webhook.test`, signed with a secret that it publishes: that
is accepted, since it contains no event. Both forms of an activity are read, with
the recipient in `data` and, the older, in `data.email`; the newer one is known from
https://github.com/anymail/django-anymail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook, webhook_mail
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "webhook_secret"
TEST_EVENT = "webhook.test"
INBOUND_EVENT = "inbound.message"
TEST_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"
_KINDS = {
    "activity.unsubscribed": VendorEventKind.OPTED_OUT,
    "activity.spam_complaint": VendorEventKind.COMPLAINED,
    "activity.spam_complaints": VendorEventKind.COMPLAINED,
    "activity.hard_bounced": VendorEventKind.BOUNCED,
    "activity.soft_bounced": VendorEventKind.BOUNCED,
}
_SUPPRESSION_KINDS = (
    ("unsubscri", VendorEventKind.OPTED_OUT),
    ("spam", VendorEventKind.COMPLAINED),
    ("bounce", VendorEventKind.BOUNCED),
)
"""Words in the reason why a mail was suppressed."""
_IGNORED = {
    TEST_EVENT, INBOUND_EVENT, "activity.sent", "activity.delivered", "activity.deferred",
    "activity.opened",
    "activity.opened_unique", "activity.clicked", "activity.clicked_unique",
    "activity.survey_opened", "activity.survey_submitted",
    "sender_identity.verified", "maintenance.start", "maintenance.end",
}  # fmt: skip


class MailerSendWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the signing secret of the webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        given = request.require_header("signature")
        try:
            webhook.verify_hmac(secret, request.body, given)
        except SignatureError:
            webhook.verify_hmac(TEST_SECRET, request.body, given)
            if not _is_test(request.body):
                raise

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_event)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://developers.mailersend.com/api/v1/inbound.html."""
        rows = [
            row for row in webhook.parse_json_objects(body) if row.text("type") == INBOUND_EVENT
        ]
        return [_to_received_mail(row.nested("data")) for row in rows]


def _to_received_mail(data: webhook.JsonObject) -> ReceivedMail:
    raw, sender = data.text("raw"), data.nested("from")
    name, address = sender.text("name"), sender.text("email")
    headers = [
        ("From", webhook_mail.format_mailbox(name, address)),
        ("Subject", data.text("subject")),
    ]
    others = [
        (name, value)
        for name, value in webhook_mail.iter_header_fields(data.nested("headers"))
        if name.casefold() not in {"from", "subject"}
    ]
    whole = webhook_mail.compose_mail([*headers, *others], data.text("text"), data.text("html"))
    recipients = [each.text("email") for each in data.rows("recipients", "rcptTo")]
    return ReceivedMail(raw.encode() or whole, recipients)


def _is_test(body: bytes) -> bool:
    try:
        return [row.text("type") for row in webhook.parse_json_objects(body)] == [TEST_EVENT]
    except InvalidInput:
        return False


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    data = row.nested("data")
    event = row.text("type") or f"activity.{data.text('type')}"  # an activity has its name twice
    if event in _IGNORED:
        return None
    meta = data.nested("meta")
    reason = meta.text("bounce_reason") or data.text("morph", "reason")
    kind = _KINDS.get(event)
    if event == "activity.suppressed":  # not sent, because of what was noted before
        reason = meta.text("reason") or data.text("reason") or reason
        kind = next((kind for word, kind in _SUPPRESSION_KINDS if word in reason.casefold()), None)
    if kind is None:
        return webhook.unknown_event(event)
    is_bounce = kind is VendorEventKind.BOUNCED
    permanent = "soft" not in event
    bounce = Bounce(
        reply_code=meta.text("bounce_code"),
        diagnostic=reason,
        permanent=permanent,
        bad_address=event == "activity.suppressed",
    )
    return VendorEvent(
        kind=kind,
        address=data.text("recipient") or data.text("email", "recipient", "email"),
        occurred_at=row.iso_time("created_at") or data.iso_time("created_at"),
        id=data.text("id"),
        by_person=not is_bounce,
        bounce=bounce if is_bounce else None,
    )
