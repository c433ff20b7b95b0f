"""Postmark's webhooks: JSON, one record a request, verified by a shared secret.

https://postmarkapp.com/developer/webhooks/webhooks-overview
https://postmarkapp.com/developer/webhooks/subscription-change-webhook
https://postmarkapp.com/developer/api/bounce-api#bounce-types
A topic is a message stream there. Records of streams that no topic maps to, such as those of
service mail, do not count for marketing, except for complaints and bounces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook_mail import compose_mail, extract_addresses

_RECIPIENT_ORIGIN = "Recipient"
"""The origin of what a person did; others are an API call of ours, and Postmark's staff."""
_IGNORED_RECORDS = {"Delivery", "Open", "Click"}
_BOUNCE_TYPE_KINDS = {
    "Unsubscribe": VendorEventKind.OPTED_OUT,  # a reply that asks for it
    "ManuallyDeactivated": VendorEventKind.OPTED_OUT,
    "SpamComplaint": VendorEventKind.COMPLAINED,
}
_PERMANENT_BY_TYPE: Mapping[str, bool | None] = {
    "HardBounce": True,
    "BadEmailAddress": True,
    "Transient": False,
    "SoftBounce": False,
    "DnsError": False,
    "SpamNotification": False,
    "VirusNotification": False,
    "Blocked": False,
    "DMARCPolicy": False,
    "Unknown": None,
}
"""Types of bounces -> whether Postmark calls them permanent."""
_ON_LIST = Bounce(permanent=True, bad_address=True)
_IGNORED_BOUNCE_TYPES = {
    "Subscribe",
    "AutoResponder",
    "AddressChange",
    "OpenRelayTest",
    "ChallengeVerification",
    "Unconfirmed",
    "SMTPApiError",
    "InboundError",
    "TemplateRenderingFailed",
}
_SUPPRESSION_KINDS = {
    "HardBounce": VendorEventKind.BOUNCED,
    "SpamComplaint": VendorEventKind.COMPLAINED,
    "ManualSuppression": VendorEventKind.OPTED_OUT,
}


class PostmarkWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    requires_200: ClassVar[bool] = True

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_event)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://postmarkapp.com/developer/webhooks/inbound-webhook."""
        return [
            _to_received_mail(row) for row in webhook.parse_json_objects(body) if _is_inbound(row)
        ]


def _is_inbound(row: webhook.JsonObject) -> bool:
    """Inbound mail has been posted without a record type as well."""
    is_mail = "FromFull" in row or "RawEmail" in row
    return row.text("RecordType") == "Inbound" or ("RecordType" not in row and is_mail)


def _to_received_mail(row: webhook.JsonObject) -> ReceivedMail:
    raw = row.text("RawEmail")
    others = [(field.text("Name"), field.text("Value")) for field in row.rows("Headers")]
    headers = [(name, row.text(name)) for name in ("From", "To", "Subject", "Date")]
    whole = compose_mail([*headers, *others], row.text("TextBody"), row.text("HtmlBody"))
    recipients = extract_addresses(row.text("OriginalRecipient")) or extract_addresses(
        row.text("To")
    )
    return ReceivedMail(raw.encode() or whole, recipients)


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    if _is_inbound(row):
        return None
    match row.text("RecordType"):
        case "":
            raise InvalidInput("the body is not what the vendor promises")
        case "Bounce" | "SpamComplaint":
            return _read_bounce(row)
        case "SubscriptionChange":
            return _read_subscription_change(row)
        case record if record not in _IGNORED_RECORDS:
            return webhook.unknown_event(record)
    return None


def _read_bounce(row: webhook.JsonObject) -> VendorEvent | None:
    name = row.text("Type")
    kind = _BOUNCE_TYPE_KINDS.get(name)
    if kind is None and name not in _PERMANENT_BY_TYPE:
        return None if name in _IGNORED_BOUNCE_TYPES else webhook.unknown_event(f"Bounce {name}")
    text = row.text("Details")
    permanent = _PERMANENT_BY_TYPE.get(name)
    code, reply = webhook.find_status_code(text), webhook.find_reply_code(text)
    bounce = Bounce(code, reply, text, permanent, bad_address=permanent is True)
    return VendorEvent(
        kind or VendorEventKind.BOUNCED,
        row.text("Email"),
        row.text("MessageStream") or None if kind is VendorEventKind.OPTED_OUT else None,
        occurred_at=row.iso_time("BouncedAt"),
        id=row.text("ID"),
        by_person=kind is not None and name != "ManuallyDeactivated",
        bounce=None if kind else bounce,
    )


def _read_subscription_change(row: webhook.JsonObject) -> VendorEvent | None:
    """An address added to Postmark's list or taken off; after a hard bounce it is a bad one.

    See https://postmarkapp.com/developer/webhooks/subscription-change-webhook
    """
    reason, suppressed = row.text("SuppressionReason"), row.get("SuppressSending") is True
    kind = _SUPPRESSION_KINDS.get(reason) if suppressed else VendorEventKind.RESUBSCRIBED
    if kind is None:
        return webhook.unknown_event(f"SubscriptionChange {reason}")
    of_stream = kind in {VendorEventKind.OPTED_OUT, VendorEventKind.RESUBSCRIBED}
    return VendorEvent(
        kind,
        row.text("Recipient"),
        row.text("MessageStream") or None if of_stream else None,
        occurred_at=row.iso_time("ChangedAt"),
        by_person=row.text("Origin") == _RECIPIENT_ORIGIN
        and kind in {VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED},
        bounce=_ON_LIST if kind is VendorEventKind.BOUNCED else None,
    )
