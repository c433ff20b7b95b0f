"""SES's notifications through SNS, either as feedback or as a published event.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.payload import (
    get_list,
    get_object,
    get_text,
    is_complaint,
    parse_iso_time,
    unknown_event,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind

_PERMANENT = {"Permanent": True, "Transient": False}
_ON_SUPPRESSION_LIST = "OnAccountSuppressionList"
"""SES did not send; the list itself shows why the address is on it."""
_IGNORED = {
    "Delivery",
    "Send",
    "Reject",
    "Open",
    "Click",
    "Rendering Failure",
    "DeliveryDelay",
    "AmazonSnsSubscriptionSucceeded",
}
_OPT_OUT, _OPT_IN = "OptOut", "OptIn"


def read_event(event: dict[str, Any]) -> Iterator[VendorEvent]:
    """The events of one notification."""
    name = get_text(event, "eventType") or get_text(event, "notificationType")
    match name:
        case "Received" if is_mail(event):
            return
        case "Bounce":
            yield from _read_bounces(get_object(event, "bounce"))
        case "Complaint":
            yield from _read_complaints(get_object(event, "complaint"))
        case "Subscription":
            yield from _read_preference_changes(event)
        case _ if name not in _IGNORED:
            yield unknown_event(name)


def is_mail(event: dict[str, Any]) -> bool:
    """Whether it contains a received mail: if a receipt rule stores the mail, it does not."""
    return get_text(event, "notificationType") == "Received" and bool(get_text(event, "content"))


def _read_bounces(bounce: dict[str, Any]) -> Iterator[VendorEvent]:
    if get_text(bounce, "bounceSubType") == _ON_SUPPRESSION_LIST:
        return
    for each in _recipients(bounce, "bouncedRecipients"):
        diagnostic = get_text(each, "diagnosticCode")
        reply = diagnostic.removeprefix("smtp;").strip()[:3]
        yield VendorEvent(
            VendorEventKind.BOUNCED,
            get_text(each, "emailAddress"),
            occurred_at=parse_iso_time(bounce.get("timestamp")),
            id=get_text(bounce, "feedbackId"),
            bounce=Bounce(
                status=get_text(each, "status"),
                reply_code=reply if reply.isdigit() else "",
                diagnostic=diagnostic,
                permanent=_PERMANENT.get(get_text(bounce, "bounceType")),
            ),
        )


def _read_complaints(complaint: dict[str, Any]) -> Iterator[VendorEvent]:
    """Where the mailbox provider hides the complainant, SES names all possible ones."""
    listed = get_text(complaint, "complaintSubType") == _ON_SUPPRESSION_LIST
    if listed or not is_complaint(get_text(complaint, "complaintFeedbackType")):
        return
    for each in _recipients(complaint, "complainedRecipients"):
        yield VendorEvent(
            VendorEventKind.COMPLAINED,
            get_text(each, "emailAddress"),
            occurred_at=parse_iso_time(complaint.get("timestamp")),
            id=get_text(complaint, "feedbackId"),
            by_person=True,
        )


def _read_preference_changes(event: dict[str, Any]) -> Iterator[VendorEvent]:
    """A person's choice on SES's own page, or by its List-Unsubscribe header."""
    subscription = get_object(event, "subscription")
    before = _parse_preferences(get_object(subscription, "oldTopicPreferences"))
    after = _parse_preferences(get_object(subscription, "newTopicPreferences"))
    addresses = get_list(get_object(event, "mail"), "destination")
    address = addresses[0] if len(addresses) == 1 and isinstance(addresses[0], str) else ""
    for topic, status in after.items():
        if status == before.get(topic) or status not in {_OPT_OUT, _OPT_IN}:
            continue
        yield VendorEvent(
            VendorEventKind.OPTED_OUT if status == _OPT_OUT else VendorEventKind.RESUBSCRIBED,
            address,
            topic or None,
            occurred_at=parse_iso_time(subscription.get("timestamp")),
            by_person=status == _OPT_OUT,
        )


def _parse_preferences(preferences: dict[str, Any]) -> dict[str, str]:
    """Topics of the contact list -> the choice; "" is all of them."""
    found = {
        get_text(each, "topicName"): get_text(each, "subscriptionStatus")
        for each in get_list(preferences, "topicSubscriptionStatus")
        if isinstance(each, dict)
    }
    return found | {"": _OPT_OUT if preferences.get("unsubscribeAll") is True else ""}


def _recipients(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in get_list(row, name) if isinstance(each, dict)]
