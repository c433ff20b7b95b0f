"""SendGrid's event webhook, signed with ECDSA.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
The events come from what recipients do: adding to a group by API makes none. Any age is
taken, since SendGrid tries again for a day; what is posted anew is the same event.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.domain.bounces import Bounce
from preference_center.domain.news import News, NewsKind, Post, Unready, Unverified
from preference_center.domain.news.reading import (
    header,
    json_objects,
    moment,
    secret_of,
    text,
    unknown,
)

SETTING = "webhook_key"
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
_KINDS = {
    "group_unsubscribe": NewsKind.OPTED_OUT,
    "unsubscribe": NewsKind.OPTED_OUT,
    "spamreport": NewsKind.COMPLAINED,
    "bounce": NewsKind.BOUNCED,
    "group_resubscribe": NewsKind.RESUBSCRIBED,
}
_OF_A_GROUP = {"group_unsubscribe", "group_resubscribe", "spamreport"}
_DROPPED = {
    "Unsubscribed Address": NewsKind.OPTED_OUT,
    "Spam Reporting Address": NewsKind.COMPLAINED,
    "Bounced Address": NewsKind.BOUNCED,
}
"""Why SendGrid did not send, where that is what it has noted of the person before."""
_OF_NO_USE = {"processed", "deferred", "delivered", "dropped", "open", "click"}
_GONE = {"", "Invalid Address"}
"""Classes of bounces that say that there is no such mailbox; others may pass."""


class SendGridNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the verification key of the signed event webhook (Mail Settings)",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        key = _public_key(secret_of(settings, SETTING))
        signature, timestamp = header(post, _SIGNATURE), header(post, _TIMESTAMP)
        try:
            raw = base64.b64decode(signature, validate=True)
            key.verify(raw, timestamp.encode() + post.body, ec.ECDSA(SHA256()))
        except (ValueError, InvalidSignature):
            raise Unverified("the signature does not match") from None

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return [news for row in json_objects(body) if (news := _read(row)) is not None]


@lru_cache
def _public_key(encoded: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise Unready(f"the setting {SETTING} is no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unready(f"the setting {SETTING} is no ECDSA key")
    return key


def _read(row: dict[str, Any]) -> News | None:
    event = text(row, "event")
    kind = _KINDS.get(event)
    if event == "dropped":
        kind = _DROPPED.get(text(row, "reason"))
    if kind is None:
        return None if event in _OF_NO_USE else unknown(event)
    return News(
        kind=kind,
        address=text(row, "email"),
        # "unsubscribe" is the global list, whatever group the mail was of.
        thing=text(row, "asm_group_id") or None if _is_of_group(event, kind) else None,
        at=moment(row.get("timestamp")),
        id=text(row, "sg_event_id"),
        # What was noted before may have come of an API call of ours.
        by_person=kind is not NewsKind.BOUNCED and event != "dropped",
        bounce=_bounce(row) if kind is NewsKind.BOUNCED else None,
    )


def _is_of_group(event: str, kind: NewsKind) -> bool:
    return event in _OF_A_GROUP or (event == "dropped" and kind is not NewsKind.BOUNCED)


def _bounce(row: dict[str, Any]) -> Bounce:
    """A block, or a bounce of another class, may pass: SendGrid itself goes on mailing.

    It drops what is addressed to whom it has on its list of bounces.
    """
    if text(row, "event") == "dropped":
        return Bounce(text=text(row, "reason"), permanent=True)
    is_gone = text(row, "type") in {"", "bounce"} and text(row, "bounce_classification") in _GONE
    return Bounce(text(row, "status"), text=text(row, "reason"), permanent=is_gone)
