"""SendGrid's event webhook, signed with ECDSA.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
The events come from what recipients do: adding to a group by API makes none. Any age is
taken, since SendGrid tries again for a day; what is posted anew is the same event.

Inbound Parse posts the mails that it receives, as forms. With a security policy these are
signed in the same way, by a key of their own.
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/securing-your-parse-webhooks
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email import message_from_string
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import (
    News,
    NewsKind,
    Post,
    ReceivedMail,
    Unready,
    Unverified,
)
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    header,
    json_objects,
    moment,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.webhook_mail import addresses, composed, form_of

SETTING = "webhook_key"
_FORM = "form"
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
        f"{SETTING}?": "the verification key of the signed event webhook (Mail Settings); those "
        "of several webhooks, as of Inbound Parse, with spaces between",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        keys = [_public_key(each) for each in secret_of(settings, SETTING).split()]
        signature, timestamp = header(post, _SIGNATURE), header(post, _TIMESTAMP)
        try:
            raw = base64.b64decode(signature, validate=True)
        except ValueError:
            raise Unverified("the signature does not match") from None
        if not any(_fits(key, raw, timestamp.encode() + post.body) for key in keys):
            raise Unverified("the signature does not match")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        rows = (row for row in json_objects(body) if not part(row, _FORM))
        return [news for row in rows if (news := _read(row)) is not None]

    def whole(self, post: Post) -> bytes:
        """See Dated: of a mail, which is posted as a form, the fields."""
        form = form_of(post)
        return post.body if form is None else json.dumps({_FORM: form}).encode()

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail."""
        return [_mail(form) for row in json_objects(body) if (form := part(row, _FORM))]


@lru_cache
def _public_key(encoded: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise Unready(f"the setting {SETTING} is no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unready(f"the setting {SETTING} is no ECDSA key")
    return key


def _fits(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _mail(form: dict[str, Any]) -> ReceivedMail:
    """A mail as Inbound Parse posts it: whole (`email`), or in its parts."""
    envelope = _object(text(form, "envelope"))
    content = text(form, "email").encode(errors="replace")
    if not content:
        headers = [*message_from_string(text(form, "headers")).items()]
        headers = headers or [("From", text(form, "from")), ("Subject", text(form, "subject"))]
        content = composed(
            [(name, str(value)) for name, value in headers], text(form, "text"), text(form, "html")
        )
    recipients = [str(each) for each in several(envelope, "to")] or addresses(text(form, "to"))
    return ReceivedMail(content, recipients, text(envelope, "from"))


def _object(written: str) -> dict[str, Any]:
    try:
        (found,) = json_objects(written.encode(errors="replace"))
    except (InvalidInput, ValueError):
        return {}
    return found


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
