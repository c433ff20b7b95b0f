"""Braze Currents, by its custom HTTP connector. Braze signs nothing.

https://www.braze.com/docs/user_guide/data/distribution/braze_currents/setting_up_currents/custom_http_connector/
https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary/message_engagement_events/
A change of state says of which group, and by whose act. An `Unsubscribe` says neither what
was left nor more than that a person clicked: taken for all email, and better not sent
here. The form of one event in this connector is not published; it is that of the other
tools, `properties` beside `id`, `time` and `user`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import ALL_EMAIL, News, NewsKind, Post
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    json_objects,
    moment,
    part,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import GUARD, guard

_GLOBAL = "users.behaviors.subscription.GlobalStateChange"
_GROUP = "users.behaviors.subscriptiongroup.StateChange"
_CLICK = "users.messages.email.Unsubscribe"
_KINDS = {
    _CLICK: NewsKind.OPTED_OUT,
    "users.messages.email.MarkAsSpam": NewsKind.COMPLAINED,
}
_PERMANENT = {"users.messages.email.Bounce": True, "users.messages.email.SoftBounce": False}
_OF_NO_USE = {
    f"users.messages.email.{name}"
    for name in ("Abort", "Click", "Deferral", "Delivery", "Open", "Retry", "Send")
}
_FAMILIES_OF_NO_USE = (
    "users.campaigns.",
    "users.canvas.",
    "users.messages.contentcard.",
    "users.messages.inappmessage.",
    "users.messages.pushnotification.",
    "users.messages.sms.",
    "users.messages.webhook.",
)
_STATES = {
    "unsubscribed": NewsKind.OPTED_OUT,
    "subscribed": NewsKind.RESUBSCRIBED,
    "opted in": NewsKind.RESUBSCRIBED,
}
_BY_PERSON = {"subscription page", "preference center", "list-unsubscribe", "inbound message"}
"""Sources of a change that are the recipient's own acts, says the glossary."""
_CHANNELS = {"": Channel.EMAIL, "email": Channel.EMAIL, "sms": Channel.SMS}


class BrazeNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        found = json_objects(body)
        rows = [row for each in found for row in several(each, "events")]
        if not all("events" in each for each in found) or not all(
            isinstance(r, dict) for r in rows
        ):
            raise InvalidInput("the body is not what the vendor promises")
        return addressed(news for row in rows if (news := _read(row)) is not None)


def _read(row: dict[str, Any]) -> News | None:
    event, properties = text(row, "event_type"), part(row, "properties")
    if event in _OF_NO_USE or event.startswith(_FAMILIES_OF_NO_USE):
        return None
    news = News(
        kind=_KINDS.get(event, NewsKind.BOUNCED),
        address=text(properties, "email_address"),
        at=moment(row.get("time")),
        id=text(row, "id"),
        by_person=event in _KINDS,
        thing=ALL_EMAIL if event == _CLICK else None,
    )
    if event in {_GLOBAL, _GROUP}:
        return _state(news, event, properties)
    if event in _PERMANENT:
        reason = text(properties, "bounce_reason")
        return replace(news, bounce=Bounce(text=reason, permanent=_PERMANENT[event]))
    return news if event in _KINDS else unknown(event)


def _state(news: News, event: str, properties: dict[str, Any]) -> News | None:
    """A change of all email, or of one group of email or SMS."""
    named = text(properties, "channel").casefold()
    channel = _CHANNELS.get(named)
    if channel is None or (event == _GLOBAL and channel is not Channel.EMAIL):
        return None  # push, WhatsApp and others that no topic goes by
    kind = _STATES.get(text(properties, "subscription_status").casefold())
    group = text(properties, "subscription_group_id")
    if kind is None or (event == _GROUP and not group):
        return unknown(event)
    phone = text(properties, "channel_identifier") or text(properties, "phone_number")
    return replace(
        news,
        kind=kind,
        address=phone if channel is Channel.SMS else news.address,
        channel=channel,
        thing=group if event == _GROUP else ALL_EMAIL,
        by_person=text(properties, "state_change_source").casefold() in _BY_PERSON,
    )
