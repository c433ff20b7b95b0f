"""Iterable's system webhooks. Iterable signs nothing.

https://support.iterable.com/hc/en-us/articles/208013936-System-Webhooks
https://support.iterable.com/hc/en-us/articles/208508736-Subscribe-and-Unsubscribe-Events
A target is a channel, a message type or a list, each numbered separately: mapped as
`channel:27447`, `type:31082` and `list:1589748`. Events have no id. `unsubSource` names who caused
one; only the link in the email is certainly the person. A click on the link to the hosted page is
not yet an opt-out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from preference_center.core.bounces import Bounce
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind

_TARGET_PREFIXES = {"channelIds": "channel", "messageTypeIds": "type", "emailListIds": "list"}
_SUBSCRIPTIONS = {
    "emailUnSubscribe": VendorEventKind.OPTED_OUT,
    "emailSubscribe": VendorEventKind.RESUBSCRIBED,
}
_PERSON_SOURCE = "EmailLink"
_SMS_SOURCE = "SMS"
_PERMANENT = {"HardBounce": True, "SoftBounce": False}
_IGNORED = {"emailSend", "emailOpen", "emailClick", "emailSendSkip", "hostedUnsubscribeClick"}
_IGNORED_PREFIXES = ("inApp", "push", "sms", "webPush", "embedded", "whatsApp", "journey")
_PLACEHOLDER_SUFFIX = "@placeholder.email"
"""What Iterable writes where a user has no address."""


class IterableWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.require_recipient(
            chain.from_iterable(map(_read_event, webhook.parse_json_objects(body)))
        )


def parse_export(body: bytes) -> Iterator[VendorEvent]:
    """What an export of the type emailUnSubscribe lists: an event a line, as in a webhook.

    Raises InvalidInput when a line is no object.
    """
    for line in body.splitlines():
        if line.strip():
            (fields,) = webhook.parse_json_objects(line)
            event = {"eventName": "emailUnSubscribe", "email": fields.get("email")}
            yield from _read_event(webhook.JsonObject({**event, "dataFields": fields}))


def _read_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    event, fields = row.text("eventName"), row.nested("dataFields")
    if event in _IGNORED or event.startswith(_IGNORED_PREFIXES):
        return
    address = row.text("email")
    at = webhook.parse_iso_time(fields.text("createdAt").replace(" +", "+"))
    if address.endswith(_PLACEHOLDER_SUFFIX):
        address = ""
    source = fields.text("unsubSource")
    if event == "emailComplaint" or source == "Complaint":
        yield VendorEvent(VendorEventKind.COMPLAINED, address, occurred_at=at, by_person=True)
    elif event == "emailBounce" or source in _PERMANENT:
        state = source or fields.text("recipientState")
        bounce = Bounce(permanent=_PERMANENT.get(state))
        yield VendorEvent(VendorEventKind.BOUNCED, address, occurred_at=at, bounce=bounce)
    elif source == _SMS_SOURCE:
        yield webhook.unknown_event(f"{event} by SMS")  # of a number, which it does not contain
    elif event in _SUBSCRIPTIONS:
        yield from _read_subscriptions(_SUBSCRIPTIONS[event], address, fields, at)
    else:
        yield webhook.unknown_event(event)


def _read_subscriptions(
    kind: VendorEventKind, address: str, fields: webhook.JsonObject, occurred_at: datetime | None
) -> Iterator[VendorEvent]:
    """One event per target that it names; one for everything if it names none."""
    targets: list[str | None] = [
        f"{prefix}:{number}"
        for name, prefix in _TARGET_PREFIXES.items()
        for number in fields.array(name)
    ]
    by_person = kind is VendorEventKind.OPTED_OUT and fields.text("unsubSource") == _PERSON_SOURCE
    for target in targets or [None]:
        yield VendorEvent(kind, address, target, occurred_at, by_person=by_person)
