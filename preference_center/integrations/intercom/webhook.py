"""Intercom's webhooks, signed with HMAC-SHA1 over the body.

https://developers.intercom.com/docs/references/2.15/webhooks/webhook-models
The signature covers no time of sending; a notification has an id, and counts once. Whether a
person or an API call caused it is not reported. The form of `contact.unsubscribed` and of
what is about a single subscription type (`granular.*`) is not published: the contact is read
in either form, the type as `subscription_type`, and a change of one type without it is an
UNKNOWN_TYPE. So is the unsubscribe that is counted for an email, which names no type. Intercom
retries once, after a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "client_secret"
_SCHEME = "sha1="
_ALL_EMAIL_KINDS = {
    "contact.unsubscribed": VendorEventKind.OPTED_OUT,
    "contact.subscribed": VendorEventKind.RESUBSCRIBED,
}
_SUBSCRIPTION_TYPE_KINDS = {
    "granular.unsubscribe": VendorEventKind.OPTED_OUT,
    "granular.subscribe": VendorEventKind.RESUBSCRIBED,
}
_CONTACT_CHANGES = {
    "contact.user.created", "contact.user.updated", "contact.lead.created",
    "contact.lead.updated", "contact.lead.added_email", "contact.lead.signed_up",
    "contact.email.updated", "contact.merged", "contact.unarchive", "visitor.signed_up",
}  # fmt: skip
_IGNORED = {
    "ping", "contact.archived", "contact.deleted", "contact.user.tag.created",
    "contact.user.tag.deleted", "contact.lead.tag.created", "contact.lead.tag.deleted",
}  # fmt: skip
_IGNORED_PREFIXES = (
    "admin.", "api.", "call.", "company.", "conversation.", "conversation_part.", "event.",
    "job.", "ticket.", "content_stat.banner", "content_stat.carousel", "content_stat.chat",
    "content_stat.checklist", "content_stat.custom_bot", "content_stat.news_item",
    "content_stat.post", "content_stat.push", "content_stat.series", "content_stat.sms",
    "content_stat.survey", "content_stat.to",
)  # fmt: skip
_EMAIL_STAT = "content_stat.email"
_IGNORED_STATS = {"receipt", "goal_success", "open", "click", "reply"}
_PERMANENT = {"hard_bounce": True, "soft_bounce": False}


class IntercomWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "client secret of the app whose webhook calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        given = request.require_header("x-hub-signature")
        webhook.verify_hmac(secret, request.body, given.removeprefix(_SCHEME), "sha1")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_event)


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    topic, item = row.text("topic"), row.nested("data", "item")
    if topic in _IGNORED or topic.startswith(_IGNORED_PREFIXES):
        return None
    contact = item.nested("contact") or item
    common = VendorEvent(
        kind=_ALL_EMAIL_KINDS.get(topic, VendorEventKind.CONTACT_CHANGED),
        address=contact.text("email"),
        target=ALL_EMAIL if topic in _ALL_EMAIL_KINDS else None,
        occurred_at=row.epoch("created_at"),
        id=row.text("id"),
    )
    if topic == _EMAIL_STAT:
        return _read_email_stat(common, item.text("content_stat", "stat_type"))
    type_id = item.text("subscription_type", "id")
    if topic in _SUBSCRIPTION_TYPE_KINDS and type_id:
        return replace(common, kind=_SUBSCRIPTION_TYPE_KINDS[topic], target=type_id)
    is_known = topic in _ALL_EMAIL_KINDS or topic in _CONTACT_CHANGES
    return common if is_known else webhook.unknown_event(topic)


def _read_email_stat(base_event: VendorEvent, stat_type: str) -> VendorEvent | None:
    """What became of an email that was sent."""
    if stat_type in _IGNORED_STATS:
        return None
    if stat_type == "spam_complaint":
        return replace(base_event, kind=VendorEventKind.COMPLAINED, by_person=True)
    if stat_type in _PERMANENT:
        bounce = Bounce(permanent=_PERMANENT[stat_type])
        return replace(base_event, kind=VendorEventKind.BOUNCED, bounce=bounce)
    return webhook.unknown_event(f"{_EMAIL_STAT} {stat_type}")
