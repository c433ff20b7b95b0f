"""Resend's webhooks, signed by Svix: Standard Webhooks with other names of headers.

https://resend.com/docs/webhooks/verify-webhooks-requests
https://resend.com/docs/webhooks/event-types
https://resend.com/docs/webhooks/emails/bounced
https://resend.com/docs/webhooks/contacts/topics-updated
An event's id is only in a header; its time tells events apart. A mail with several recipients
makes an event that does not name the one concerned. `contact.updated` has a contact's state after
any change: an unsubscribed one is reported again with each. A mail is `suppressed` if its
recipient bounced permanently, or complained, before. `email.received` has sender, recipients and
subject, but not the text: where the subject is not enough, it goes to the review queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_mail import compose_mail, extract_addresses

SECRET_SETTING = "webhook_secret"
_TOPICS_UPDATED = "contact.topics.updated"
_CONTACT_EVENTS = {"contact.created", "contact.updated"}
_IGNORED = {
    "email.sent", "email.delivered", "email.delivery_delayed", "email.opened",
    "email.clicked", "email.failed", "email.scheduled", "email.received",
    "contact.deleted", "domain.created", "domain.updated", "domain.deleted",
}  # fmt: skip
_EMAIL_RECEIVED = "email.received"
_SUPPRESSION_ADDED, _SUPPRESSION_REMOVED = "suppression.added", "suppression.removed"
_SUPPRESSION_KINDS = {
    "bounce": VendorEventKind.BOUNCED,
    "complaint": VendorEventKind.COMPLAINED,
    "manual": VendorEventKind.OPTED_OUT,  # by somebody in the dashboard, or by an API call of ours
}
_PERMANENT = {"Permanent": True, "Transient": False}
_BAD_ADDRESS = {"NoEmail", "Suppressed"}
_TOPIC_STATE_KINDS = {"opt_out": VendorEventKind.OPTED_OUT, "opt_in": VendorEventKind.RESUBSCRIBED}


class ResendWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the signing secret, whsec_..., of the webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        webhook.verify_standard_webhook(
            request, webhook.require_setting(settings, SECRET_SETTING), now, header_prefix="svix"
        )

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.require_recipient(
            chain.from_iterable(map(_read_event, webhook.parse_json_objects(body)))
        )

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail."""
        rows = [
            row for row in webhook.parse_json_objects(body) if row.text("type") == _EMAIL_RECEIVED
        ]
        return [_to_received_mail(row.nested("data")) for row in rows]


def _read_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    event, data, at = row.text("type"), row.nested("data"), row.iso_time("created_at")
    address = data.text("email")
    if event in _IGNORED:
        return
    if event in {"email.bounced", "email.complained", "email.suppressed"}:
        yield _read_email_event(event, data, at)
    elif event == _SUPPRESSION_ADDED:
        yield _read_suppression_added(data, at)
    elif event == _SUPPRESSION_REMOVED:
        yield VendorEvent(VendorEventKind.RESUBSCRIBED, address, occurred_at=at)
    elif event == _TOPICS_UPDATED:
        for topic in data.array("topics"):
            yield _read_topic_change(topic, address, at)
    elif event in _CONTACT_EVENTS:
        is_off = data.get("unsubscribed")
        kind = VendorEventKind.OPTED_OUT if is_off is True else VendorEventKind.CONTACT_CHANGED
        yield VendorEvent(
            kind,
            address,
            occurred_at=at,
            unsubscribed_from_all=is_off if isinstance(is_off, bool) else None,
        )
    else:
        yield webhook.unknown_event(event)


def _read_email_event(
    event: str, data: webhook.JsonObject, occurred_at: datetime | None
) -> VendorEvent:
    recipients = data.array("to")
    if len(recipients) > 1:
        return webhook.unknown_event(f"{event} of several recipients")
    address = str(recipients[0]) if recipients else ""
    if event == "email.complained":
        return VendorEvent(
            VendorEventKind.COMPLAINED, address, occurred_at=occurred_at, by_person=True
        )
    if event == "email.suppressed":
        text = data.text("suppressed", "message")
        return VendorEvent(
            VendorEventKind.BOUNCED,
            address,
            occurred_at=occurred_at,
            bounce=Bounce(diagnostic=text, permanent=True, bad_address=True),
        )
    report = data.nested("bounce")
    words = [report.text("message"), *map(str, report.array("diagnosticCode"))]
    bounce = Bounce(
        diagnostic=" ".join(words).strip(),
        permanent=_PERMANENT.get(report.text("type")),
        bad_address=report.text("subType") in _BAD_ADDRESS,
    )
    return VendorEvent(VendorEventKind.BOUNCED, address, occurred_at=occurred_at, bounce=bounce)


def _read_suppression_added(data: webhook.JsonObject, occurred_at: datetime | None) -> VendorEvent:
    kind = _SUPPRESSION_KINDS.get(data.text("origin"))
    if kind is None:
        return webhook.unknown_event(_SUPPRESSION_ADDED)
    is_bounce = kind is VendorEventKind.BOUNCED
    bounce = Bounce(permanent=True, bad_address=True) if is_bounce else None  # on Resend's own list
    by_person = kind is VendorEventKind.COMPLAINED
    return VendorEvent(
        kind, data.text("email"), occurred_at=occurred_at, by_person=by_person, bounce=bounce
    )


def _to_received_mail(data: webhook.JsonObject) -> ReceivedMail:
    recipients = [str(each) for each in data.array("to")]
    headers = [
        ("From", data.text("from")),
        ("To", ", ".join(recipients)),
        ("Subject", data.text("subject")),
        ("Message-ID", data.text("message_id")),
    ]
    return ReceivedMail(compose_mail(headers, ""), extract_addresses(*recipients))


def _read_topic_change(topic: object, address: str, occurred_at: datetime | None) -> VendorEvent:
    state = webhook.JsonObject(topic if isinstance(topic, dict) else {})
    kind, topic_id = _TOPIC_STATE_KINDS.get(state.text("subscription")), state.text("id")
    return (
        VendorEvent(kind, address, topic_id, occurred_at)
        if kind and topic_id
        else webhook.unknown_event(_TOPICS_UPDATED)
    )
