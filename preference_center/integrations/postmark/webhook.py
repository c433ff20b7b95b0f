"""Postmark's webhooks: JSON, one record a request, proved by the guard.

https://postmarkapp.com/developer/webhooks/webhooks-overview
https://postmarkapp.com/developer/webhooks/subscription-change-webhook
https://postmarkapp.com/developer/api/bounce-api#bounce-types
A topic is a message stream there. Records of streams that no topic maps to, such as those of
service mail, say nothing about marketing, except for complaints and bounces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    several,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import GUARD, guard
from preference_center.integrations.base.webhook_mail import addresses, composed

_RECIPIENT = "Recipient"
"""The origin of what a person did; others are an API call of ours, and Postmark's staff."""
_NO_MAIL = {"Delivery", "Open", "Click"}
_SAID = {
    "Unsubscribe": NewsKind.OPTED_OUT,  # a reply that asks for it
    "ManuallyDeactivated": NewsKind.OPTED_OUT,
    "SpamComplaint": NewsKind.COMPLAINED,
}
_PERMANENT: Mapping[str, bool | None] = {
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
"""Types of bounces -> Postmark's own verdict."""
_NO_BOUNCES = {
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
_SUPPRESSED = {
    "HardBounce": NewsKind.BOUNCED,
    "SpamComplaint": NewsKind.COMPLAINED,
    "ManualSuppression": NewsKind.OPTED_OUT,
}


class PostmarkNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) if (news := _read(row)))

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://postmarkapp.com/developer/webhooks/inbound-webhook."""
        return [_mail(row) for row in json_objects(body) if _is_inbound(row)]


def _is_inbound(row: dict[str, Any]) -> bool:
    """Inbound mail has been posted without a record type as well."""
    is_mail = "FromFull" in row or "RawEmail" in row
    return text(row, "RecordType") == "Inbound" or ("RecordType" not in row and is_mail)


def _mail(row: dict[str, Any]) -> ReceivedMail:
    raw = text(row, "RawEmail")
    others = [
        (text(field, "Name"), text(field, "Value"))
        for field in several(row, "Headers")
        if isinstance(field, dict)
    ]
    headers = [(name, text(row, name)) for name in ("From", "To", "Subject", "Date")]
    whole = composed([*headers, *others], text(row, "TextBody"), text(row, "HtmlBody"))
    recipients = addresses(text(row, "OriginalRecipient")) or addresses(text(row, "To"))
    return ReceivedMail(raw.encode() or whole, recipients)


def _read(row: dict[str, Any]) -> News | None:
    if _is_inbound(row):
        return None
    match text(row, "RecordType"):
        case "":
            raise InvalidInput("the body is not what the vendor promises")
        case "Bounce" | "SpamComplaint":
            return _read_bounce(row)
        case "SubscriptionChange":
            return _read_change(row)
        case record if record not in _NO_MAIL:
            return unknown(record)
    return None


def _read_bounce(row: dict[str, Any]) -> News | None:
    name = text(row, "Type")
    kind = _SAID.get(name)
    if kind is None and name not in _PERMANENT:
        return None if name in _NO_BOUNCES else unknown(f"Bounce {name}")
    said = text(row, "Details")
    bounce = Bounce(status_in(said), _reply(said), said, _PERMANENT.get(name))
    return News(
        kind or NewsKind.BOUNCED,
        text(row, "Email"),
        text(row, "MessageStream") or None if kind is NewsKind.OPTED_OUT else None,
        at=iso_moment(row.get("BouncedAt")),
        id=text(row, "ID"),
        by_person=kind is not None and name != "ManuallyDeactivated",
        bounce=None if kind else bounce,
    )


def _read_change(row: dict[str, Any]) -> News | None:
    reason, suppressed = text(row, "SuppressionReason"), row.get("SuppressSending") is True
    kind = _SUPPRESSED.get(reason) if suppressed else NewsKind.RESUBSCRIBED
    if kind is None:
        return unknown(f"SubscriptionChange {reason}")
    of_stream = kind in {NewsKind.OPTED_OUT, NewsKind.RESUBSCRIBED}
    return News(
        kind,
        text(row, "Recipient"),
        text(row, "MessageStream") or None if of_stream else None,
        at=iso_moment(row.get("ChangedAt")),
        by_person=text(row, "Origin") == _RECIPIENT
        and kind in {NewsKind.OPTED_OUT, NewsKind.COMPLAINED},
        bounce=Bounce(permanent=True) if kind is NewsKind.BOUNCED else None,
    )


def _reply(said: str) -> str:
    """The SMTP reply code that Postmark quotes first, as in `smtp;550 5.1.1 ...`."""
    code = said.removeprefix("smtp;").strip()[:3]
    return code if code.isdigit() and len(code) == len("550") else ""
