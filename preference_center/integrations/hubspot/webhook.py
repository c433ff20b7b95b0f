"""HubSpot's webhooks, signed by the app (v3). They name contacts by id, not by address.

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
https://developers.hubspot.com/docs/apps/developer-platform/add-features/configure-webhooks
Opting out shows as a change of the contact's properties: `hs_email_optout` for all mail,
`hs_email_optout_ID` for one subscription type. An API call may have made it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from preference_center.domain.vendor_events import News, NewsKind, Post, Unverified
from preference_center.integrations.base.payload import (
    header,
    json_objects,
    moment,
    same,
    secret_of,
    text,
    unknown,
)

SETTING = "client_secret"
FRESH = timedelta(minutes=5)
"""Older requests are to be refused, says HubSpot; it signs each attempt anew."""
_SIGNATURE = "x-hubspot-signature-v3"
_TIMESTAMP = "x-hubspot-request-timestamp"
_CONTACT = "0-1"
_MILLI = 1000
_OPT_OUT = "hs_email_optout"
_BOUNCE = "hs_email_hard_bounce_reason_enum"
_OF_NO_USE = {"deletion", "privacyDeletion", "associationChange"}
_SEEN = {"creation", "restore", "merge"}


class HubSpotNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "client secret of the app whose webhook calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        secret = secret_of(settings, SETTING)
        given, stamp = header(post, _SIGNATURE), header(post, _TIMESTAMP)
        signed = post.method.encode() + post.url.encode() + post.body + stamp.encode()
        digest = hmac.digest(secret.encode(), signed, hashlib.sha256)
        if not same(given, base64.b64encode(digest).decode()):
            raise Unverified("the signature does not match")
        at = moment(stamp, per_second=_MILLI)
        if at is None or abs(now - at) > FRESH:
            raise Unverified("the request is too old")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return [news for row in json_objects(body) if (news := _read(row)) is not None]


def _read(row: dict[str, Any]) -> News | None:
    thing, _, what = text(row, "subscriptionType").partition(".")
    if thing != "contact" and (thing, text(row, "objectTypeId")) != ("object", _CONTACT):
        return None
    # `eventId` alone is not guaranteed to be unique.
    act = f"{text(row, 'subscriptionId')} {text(row, 'eventId')} {text(row, 'occurredAt')}"
    at = moment(row.get("occurredAt"), per_second=_MILLI)
    contact = text(row, "objectId")
    if what in _SEEN:
        return News(NewsKind.SEEN, "", at=at, id=act, contact=contact)
    if what != "propertyChange":
        return None if what in _OF_NO_USE else unknown(f"contact.{what}")
    name, value = text(row, "propertyName"), text(row, "propertyValue")
    if name == "email":
        return News(NewsKind.SEEN, value, at=at, id=act, contact=contact)
    if name == _BOUNCE and value == "UNKNOWN_USER":
        return News(NewsKind.BOUNCED, "", at=at, id=act, contact=contact)
    if name == _OPT_OUT or name.startswith(f"{_OPT_OUT}_"):
        kind = NewsKind.OPTED_OUT if value.casefold() == "true" else NewsKind.RESUBSCRIBED
        topic = name.removeprefix(_OPT_OUT).removeprefix("_") or None
        return News(kind, "", topic, at, act, contact=contact)
    return None
