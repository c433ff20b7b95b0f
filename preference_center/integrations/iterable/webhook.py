"""Iterable's system webhooks. Iterable signs nothing.

https://support.iterable.com/hc/en-us/articles/208013936-System-Webhooks
https://support.iterable.com/hc/en-us/articles/208508736-Subscribe-and-Unsubscribe-Events
What was left is a channel, a message type or a list, each with numbers of its own: mapped as
`channel:27447`, `type:31082` and `list:1589748`. An act has no id of its own. Whether the
person did it is told by `unsubSource`; only the link in the email surely is. A click on the
link to the hosted page is no opt-out yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    part,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import GUARD, guard

_THINGS = {"channelIds": "channel", "messageTypeIds": "type", "emailListIds": "list"}
_SUBSCRIPTIONS = {
    "emailUnSubscribe": NewsKind.OPTED_OUT,
    "emailSubscribe": NewsKind.RESUBSCRIBED,
}
_BY_PERSON = "EmailLink"
_BY_SMS = "SMS"
_PERMANENT = {"HardBounce": True, "SoftBounce": False}
_OF_NO_USE = {"emailSend", "emailOpen", "emailClick", "emailSendSkip", "hostedUnsubscribeClick"}
_FAMILIES_OF_NO_USE = ("inApp", "push", "sms", "webPush", "embedded", "whatsApp", "journey")
_NO_ADDRESS = "@placeholder.email"
"""What Iterable writes where a user has no address."""


class IterableNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) for news in _read(row))


def exported(body: bytes) -> Iterator[News]:
    """What an export of the type emailUnSubscribe lists: an event a line, as in a webhook.

    Raises InvalidInput when a line is no object.
    """
    for line in body.splitlines():
        if line.strip():
            (fields,) = json_objects(line)
            event = {"eventName": "emailUnSubscribe", "email": fields.get("email")}
            yield from _read(event | {"dataFields": fields})


def _read(row: dict[str, Any]) -> Iterator[News]:
    event, fields = text(row, "eventName"), part(row, "dataFields")
    if event in _OF_NO_USE or event.startswith(_FAMILIES_OF_NO_USE):
        return
    address, at = text(row, "email"), iso_moment(text(fields, "createdAt").replace(" +", "+"))
    if address.endswith(_NO_ADDRESS):
        address = ""
    source = text(fields, "unsubSource")
    if event == "emailComplaint" or source == "Complaint":
        yield News(NewsKind.COMPLAINED, address, at=at, by_person=True)
    elif event == "emailBounce" or source in _PERMANENT:
        state = source or text(fields, "recipientState")
        bounce = Bounce(permanent=_PERMANENT.get(state))
        yield News(NewsKind.BOUNCED, address, at=at, bounce=bounce)
    elif source == _BY_SMS:
        yield unknown(f"{event} by SMS")  # of a number, which isn't told
    elif event in _SUBSCRIPTIONS:
        yield from _subscriptions(_SUBSCRIPTIONS[event], address, fields, at)
    else:
        yield unknown(event)


def _subscriptions(
    kind: NewsKind, address: str, fields: dict[str, Any], at: datetime | None
) -> Iterator[News]:
    """One for each thing that it names; one for all if it names none."""
    things: list[str | None] = [
        f"{thing}:{number}" for name, thing in _THINGS.items() for number in several(fields, name)
    ]
    by_person = kind is NewsKind.OPTED_OUT and text(fields, "unsubSource") == _BY_PERSON
    for thing in things or [None]:
        yield News(kind, address, thing, at, by_person=by_person)
