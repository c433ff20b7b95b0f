"""What SES says in a notification of SNS, either as feedback or as a published event.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.payload import (
    is_complaint,
    iso_moment,
    part,
    several,
    text,
    unknown,
)

_PERMANENT = {"Permanent": True, "Transient": False}
_ON_LIST = "OnAccountSuppressionList"
"""SES did not send; why the address is on the account's list is read from that list."""
_OF_NO_USE = {
    "Delivery",
    "Send",
    "Reject",
    "Open",
    "Click",
    "Rendering Failure",
    "DeliveryDelay",
    "AmazonSnsSubscriptionSucceeded",
}
_OUT, _IN = "OptOut", "OptIn"


def read_event(event: dict[str, Any]) -> Iterator[News]:
    """What one notification says."""
    name = text(event, "eventType") or text(event, "notificationType")
    match name:
        case "Received" if is_mail(event):
            return
        case "Bounce":
            yield from _bounces(part(event, "bounce"))
        case "Complaint":
            yield from _complaints(part(event, "complaint"))
        case "Subscription":
            yield from _changes(event)
        case _ if name not in _OF_NO_USE:
            yield unknown(name)


def is_mail(event: dict[str, Any]) -> bool:
    """Whether it carries a mail that was received: with a rule that stores it, it does not."""
    return text(event, "notificationType") == "Received" and bool(text(event, "content"))


def _bounces(bounce: dict[str, Any]) -> Iterator[News]:
    if text(bounce, "bounceSubType") == _ON_LIST:
        return
    for each in _people(bounce, "bouncedRecipients"):
        said = text(each, "diagnosticCode")
        reply = said.removeprefix("smtp;").strip()[:3]
        yield News(
            NewsKind.BOUNCED,
            text(each, "emailAddress"),
            at=iso_moment(bounce.get("timestamp")),
            id=text(bounce, "feedbackId"),
            bounce=Bounce(
                status=text(each, "status"),
                reply=reply if reply.isdigit() else "",
                text=said,
                permanent=_PERMANENT.get(text(bounce, "bounceType")),
            ),
        )


def _complaints(complaint: dict[str, Any]) -> Iterator[News]:
    """Where the mailbox's provider hides who it was, SES names all it might have been."""
    listed = text(complaint, "complaintSubType") == _ON_LIST
    if listed or not is_complaint(text(complaint, "complaintFeedbackType")):
        return
    for each in _people(complaint, "complainedRecipients"):
        yield News(
            NewsKind.COMPLAINED,
            text(each, "emailAddress"),
            at=iso_moment(complaint.get("timestamp")),
            id=text(complaint, "feedbackId"),
            by_person=True,
        )


def _changes(event: dict[str, Any]) -> Iterator[News]:
    """What somebody chose on SES's own page, or by its List-Unsubscribe header."""
    told = part(event, "subscription")
    before = _preferences(part(told, "oldTopicPreferences"))
    after = _preferences(part(told, "newTopicPreferences"))
    addresses = several(part(event, "mail"), "destination")
    address = addresses[0] if len(addresses) == 1 and isinstance(addresses[0], str) else ""
    for thing, status in after.items():
        if status == before.get(thing) or status not in {_OUT, _IN}:
            continue
        yield News(
            NewsKind.OPTED_OUT if status == _OUT else NewsKind.RESUBSCRIBED,
            address,
            thing or None,
            at=iso_moment(told.get("timestamp")),
            by_person=status == _OUT,
        )


def _preferences(told: dict[str, Any]) -> dict[str, str]:
    """Topics of the contact list -> what was chosen; "" is all of them."""
    found = {
        text(each, "topicName"): text(each, "subscriptionStatus")
        for each in several(told, "topicSubscriptionStatus")
        if isinstance(each, dict)
    }
    return found | {"": _OUT if told.get("unsubscribeAll") is True else ""}


def _people(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in several(row, name) if isinstance(each, dict)]
