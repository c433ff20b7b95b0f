"""Klaviyo's system webhooks, signed with HMAC-SHA256 over the body and a header.

https://developers.klaviyo.com/en/docs/working_with_system_webhooks
https://developers.klaviyo.com/en/reference/get_event
The time that is checked is the body's, since the header has been seen in another zone. How
long Klaviyo tries again is not published, nor what an event's properties are: the address is
looked for in them, among what is included, and last by the profile's id. Whether a person or
an API call did it isn't said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind, Post, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    header,
    iso_moment,
    json_objects,
    moment,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_recent, ensure_signed

SETTING = "webhook_secret"
LATE = timedelta(days=1)
"""A request may be so old: it may be one that is tried again."""
_PREFIX = "event:klaviyo."
_KINDS = {
    "unsubscribed_from_email_marketing": NewsKind.OPTED_OUT,
    "manually_suppressed_from_email_marketing": NewsKind.OPTED_OUT,
    "marked_email_as_spam": NewsKind.COMPLAINED,
    "bounced_email": NewsKind.BOUNCED,
    "subscribed_to_email_marketing": NewsKind.RESUBSCRIBED,
    "manually_unsuppressed_from_email_marketing": NewsKind.RESUBSCRIBED,
    "subscribed_to_list": NewsKind.SEEN,
    "updated_email_preferences": NewsKind.SEEN,  # which ones, the connector reads
}
_BY_SMS = {
    "unsubscribed_from_sms_marketing": NewsKind.OPTED_OUT,
    "subscribed_to_sms_marketing": NewsKind.RESUBSCRIBED,
}
_OF_NO_USE = {
    "received_email", "opened_email", "clicked_email", "dropped_email", "sent_sms",
    "received_sms", "clicked_sms", "failed_to_deliver_sms", "received_automated_response_sms",
    "failed_to_deliver_automated_response_sms", "received_push", "opened_push",
    "bounced_push",
}  # fmt: skip
_ADDRESSES = ("email_address", "Recipient Email Address")


class KlaviyoNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the secret key of the system webhook that calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        secret = secret_of(settings, SETTING)
        given, stamp = header(post, "klaviyo-signature"), header(post, "klaviyo-timestamp")
        ensure_signed(secret, post.body + stamp.encode(), given)
        try:
            sent = json_objects(post.body)[:1]
        except InvalidInput:
            raise Unverified("the request has no time") from None
        ensure_recent(
            iso_moment(part(sent[0], "meta").get("timestamp")) if sent else None, now, LATE
        )

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        found = json_objects(body)
        rows = [row for each in found for row in several(each, "data")]
        if not all("data" in each for each in found) or not all(isinstance(r, dict) for r in rows):
            raise InvalidInput("the body is not what the vendor promises")
        return addressed(news for row in rows if (news := _read(row)) is not None)


def _read(row: dict[str, Any]) -> News | None:
    topic = text(row, "topic")
    name = topic.removeprefix(_PREFIX)
    if name in _OF_NO_USE:
        return None
    kind = _KINDS.get(name) or _BY_SMS.get(name)
    if kind is None:
        return unknown(topic)
    event = part(row, "payload", "data")
    attributes = part(event, "attributes")
    return News(
        kind=kind,
        address=_number(row) if name in _BY_SMS else _address(row),
        thing=ALL_SMS if name in _BY_SMS else None,
        channel=Channel.SMS if name in _BY_SMS else Channel.EMAIL,
        at=iso_moment(attributes.get("datetime")) or moment(attributes.get("timestamp")),
        id=text(row, "external_id"),
        by_person=kind is NewsKind.COMPLAINED,
        contact=text(part(event, "relationships", "profile", "data"), "id"),
        bounce=_bounce(attributes) if kind is NewsKind.BOUNCED else None,
    )


def _address(row: dict[str, Any]) -> str:
    properties = part(row, "payload", "data", "attributes", "event_properties")
    given = [text(properties, name) for name in _ADDRESSES] + _included(row, "email")
    return next(filter(None, given), "")


def _number(row: dict[str, Any]) -> str:
    """A profile's number: what a text was sent to may stand in the event, too, as ours does."""
    return next(filter(None, _included(row, "phone_number")), "")


def _included(row: dict[str, Any], name: str) -> list[str]:
    included = several(part(row, "payload"), "included")
    return [text(part(each, "attributes"), name) for each in included if isinstance(each, dict)]


def _bounce(attributes: dict[str, Any]) -> Bounce:
    """Klaviyo's word on it, if it has one."""
    kind = text(part(attributes, "event_properties"), "Bounce Type").casefold()
    return Bounce(permanent={"hard": True, "soft": False}.get(kind))
