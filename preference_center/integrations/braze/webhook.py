"""Braze Currents, by its custom HTTP connector. Braze signs nothing.

https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/custom_http_connector/
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary/message_engagement_events/
A change of state names the group, and who made the change. An `Unsubscribe` only reports that a
person clicked, without a group: it counts for all email, and is better not sent here. The form
of one event in this connector is not published; it is assumed to be that of the other tools,
`properties` next to `id`, `time` and `user`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    VendorEvent,
    VendorEventKind,
)

_GLOBAL_STATE_CHANGE = "users.behaviors.subscription.GlobalStateChange"
_GROUP_STATE_CHANGE = "users.behaviors.subscriptiongroup.StateChange"
_CLICK = "users.messages.email.Unsubscribe"
_KINDS = {
    _CLICK: VendorEventKind.OPTED_OUT,
    "users.messages.email.MarkAsSpam": VendorEventKind.COMPLAINED,
}
_PERMANENT = {"users.messages.email.Bounce": True, "users.messages.email.SoftBounce": False}
_IGNORED = {
    f"users.messages.email.{name}"
    for name in ("Abort", "Click", "Deferral", "Delivery", "Open", "Retry", "Send")
}
_IGNORED_PREFIXES = (
    "users.campaigns.",
    "users.canvas.",
    "users.messages.contentcard.",
    "users.messages.inappmessage.",
    "users.messages.pushnotification.",
    "users.messages.sms.",
    "users.messages.webhook.",
)
_STATES = {
    "unsubscribed": VendorEventKind.OPTED_OUT,
    "subscribed": VendorEventKind.RESUBSCRIBED,
    "opted in": VendorEventKind.RESUBSCRIBED,
}
_PERSON_SOURCES = {"subscription page", "preference center", "list-unsubscribe", "inbound message"}
"""Sources of a change that are the recipient's own acts, by the glossary."""
_CHANNELS = {"": Channel.EMAIL, "email": Channel.EMAIL, "sms": Channel.SMS}


class BrazeWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = [
            row for each in webhook.parse_json_objects(body) for row in each.require_rows("events")
        ]
        return webhook.read_events(rows, _read_event)


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    event, properties = row.text("event_type"), row.nested("properties")
    if event in _IGNORED or event.startswith(_IGNORED_PREFIXES):
        return None
    common = VendorEvent(
        kind=_KINDS.get(event, VendorEventKind.BOUNCED),
        address=properties.text("email_address"),
        occurred_at=row.epoch("time"),
        id=row.text("id"),
        by_person=event in _KINDS,
        target=ALL_EMAIL if event == _CLICK else None,
    )
    if event in {_GLOBAL_STATE_CHANGE, _GROUP_STATE_CHANGE}:
        return _read_state_change(common, event, properties)
    if event in _PERMANENT:
        reason = properties.text("bounce_reason")
        return replace(common, bounce=Bounce(diagnostic=reason, permanent=_PERMANENT[event]))
    return common if event in _KINDS else webhook.unknown_event(event)


def _read_state_change(
    base_event: VendorEvent, event_type: str, properties: webhook.JsonObject
) -> VendorEvent | None:
    """A change of all email, or of one group of email or SMS."""
    named = properties.text("channel").casefold()
    channel = _CHANNELS.get(named)
    if channel is None or (event_type == _GLOBAL_STATE_CHANGE and channel is not Channel.EMAIL):
        return None  # push, WhatsApp and others that no topic is sent by
    kind = _STATES.get(properties.text("subscription_status").casefold())
    group = properties.text("subscription_group_id")
    if kind is None or (event_type == _GROUP_STATE_CHANGE and not group):
        return webhook.unknown_event(event_type)
    phone = properties.text("channel_identifier") or properties.text("phone_number")
    return replace(
        base_event,
        kind=kind,
        address=phone if channel is Channel.SMS else base_event.address,
        channel=channel,
        target=group if event_type == _GROUP_STATE_CHANGE else ALL_EMAIL,
        by_person=properties.text("state_change_source").casefold() in _PERSON_SOURCES,
    )
