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
from typing import Any

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook import (
    SharedSecretWebhook,
    get_list,
    get_object,
    get_text,
    parse_epoch,
    parse_json_objects,
    require_recipient,
    unknown_event,
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


class BrazeWebhookSource(SharedSecretWebhook):
    """See WebhookSource."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        found = parse_json_objects(body)
        rows = [row for each in found for row in get_list(each, "events")]
        if not all("events" in each for each in found) or not all(
            isinstance(r, dict) for r in rows
        ):
            raise InvalidInput("the body is not what the vendor promises")
        return require_recipient(filter(None, map(_read_event, rows)))


def _read_event(row: dict[str, Any]) -> VendorEvent | None:
    event, properties = get_text(row, "event_type"), get_object(row, "properties")
    if event in _IGNORED or event.startswith(_IGNORED_PREFIXES):
        return None
    common = VendorEvent(
        kind=_KINDS.get(event, VendorEventKind.BOUNCED),
        address=get_text(properties, "email_address"),
        occurred_at=parse_epoch(row.get("time")),
        id=get_text(row, "id"),
        by_person=event in _KINDS,
        target=ALL_EMAIL if event == _CLICK else None,
    )
    if event in {_GLOBAL_STATE_CHANGE, _GROUP_STATE_CHANGE}:
        return _read_state_change(common, event, properties)
    if event in _PERMANENT:
        reason = get_text(properties, "bounce_reason")
        return replace(common, bounce=Bounce(diagnostic=reason, permanent=_PERMANENT[event]))
    return common if event in _KINDS else unknown_event(event)


def _read_state_change(
    base_event: VendorEvent, event_type: str, properties: dict[str, Any]
) -> VendorEvent | None:
    """A change of all email, or of one group of email or SMS."""
    named = get_text(properties, "channel").casefold()
    channel = _CHANNELS.get(named)
    if channel is None or (event_type == _GLOBAL_STATE_CHANGE and channel is not Channel.EMAIL):
        return None  # push, WhatsApp and others that no topic is sent by
    kind = _STATES.get(get_text(properties, "subscription_status").casefold())
    group = get_text(properties, "subscription_group_id")
    if kind is None or (event_type == _GROUP_STATE_CHANGE and not group):
        return unknown_event(event_type)
    phone = get_text(properties, "channel_identifier") or get_text(properties, "phone_number")
    return replace(
        base_event,
        kind=kind,
        address=phone if channel is Channel.SMS else base_event.address,
        channel=channel,
        target=group if event_type == _GROUP_STATE_CHANGE else ALL_EMAIL,
        by_person=get_text(properties, "state_change_source").casefold() in _PERSON_SOURCES,
    )
