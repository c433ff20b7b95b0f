"""Intercom's webhooks, signed with HMAC-SHA1 over the body.

https://developers.intercom.com/docs/references/2.15/webhooks/webhook-models
Nothing that is signed tells when it was sent; a notification has an id, and counts once.
Whether a person or an API call did it isn't said. The form of `contact.unsubscribed` and of
what is about a single subscription type (`granular.*`) is not published: the contact is read
in either, the type as `subscription_type`, and a change of one type that has none is UNKNOWN.
So is the unsubscribe that is counted of an email, which names no type. Intercom sends once
more after a minute, and no further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import ALL_EMAIL, News, NewsKind, Post
from preference_center.integrations.base.payload import (
    addressed,
    header,
    json_objects,
    moment,
    part,
    secret_of,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_signed

SETTING = "client_secret"
_SCHEME = "sha1="
_ALL = {
    "contact.unsubscribed": NewsKind.OPTED_OUT,
    "contact.subscribed": NewsKind.RESUBSCRIBED,
}
_ONE = {
    "granular.unsubscribe": NewsKind.OPTED_OUT,
    "granular.subscribe": NewsKind.RESUBSCRIBED,
}
_SEEN = {
    "contact.user.created", "contact.user.updated", "contact.lead.created",
    "contact.lead.updated", "contact.lead.added_email", "contact.lead.signed_up",
    "contact.email.updated", "contact.merged", "contact.unarchive", "visitor.signed_up",
}  # fmt: skip
_OF_NO_USE = {
    "ping", "contact.archived", "contact.deleted", "contact.user.tag.created",
    "contact.user.tag.deleted", "contact.lead.tag.created", "contact.lead.tag.deleted",
}  # fmt: skip
_FAMILIES_OF_NO_USE = (
    "admin.", "api.", "call.", "company.", "conversation.", "conversation_part.", "event.",
    "job.", "ticket.", "content_stat.banner", "content_stat.carousel", "content_stat.chat",
    "content_stat.checklist", "content_stat.custom_bot", "content_stat.news_item",
    "content_stat.post", "content_stat.push", "content_stat.series", "content_stat.sms",
    "content_stat.survey", "content_stat.to",
)  # fmt: skip
_FATE = "content_stat.email"
_FATES_OF_NO_USE = {"receipt", "goal_success", "open", "click", "reply"}
_PERMANENT = {"hard_bounce": True, "soft_bounce": False}


class IntercomNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "client secret of the app whose webhook calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        secret, given = secret_of(settings, SETTING), header(post, "x-hub-signature")
        ensure_signed(secret, post.body, given.removeprefix(_SCHEME), "sha1")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) if (news := _read(row)) is not None)


def _read(row: dict[str, Any]) -> News | None:
    topic, item = text(row, "topic"), part(row, "data", "item")
    if topic in _OF_NO_USE or topic.startswith(_FAMILIES_OF_NO_USE):
        return None
    contact = part(item, "contact") or item
    news = News(
        kind=_ALL.get(topic, NewsKind.SEEN),
        address=text(contact, "email"),
        thing=ALL_EMAIL if topic in _ALL else None,
        at=moment(row.get("created_at")),
        id=text(row, "id"),
    )
    if topic == _FATE:
        return _fate(news, text(part(item, "content_stat"), "stat_type"))
    thing = text(part(item, "subscription_type"), "id")
    if topic in _ONE and thing:
        return replace(news, kind=_ONE[topic], thing=thing)
    return news if topic in _ALL or topic in _SEEN else unknown(topic)


def _fate(news: News, fate: str) -> News | None:
    """What became of an email that was sent."""
    if fate in _FATES_OF_NO_USE:
        return None
    if fate == "spam_complaint":
        return replace(news, kind=NewsKind.COMPLAINED, by_person=True)
    if fate in _PERMANENT:
        bounce = Bounce(permanent=_PERMANENT[fate])
        return replace(news, kind=NewsKind.BOUNCED, bounce=bounce)
    return unknown(f"{_FATE} {fate}")
