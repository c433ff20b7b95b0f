"""Mandrill's (Mailchimp Transactional's) webhooks: a form, signed together with its URL.

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
https://mailchimp.com/developer/transactional/docs/webhooks/
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    form_fields,
    header,
    json_objects,
    moment,
    part,
    same,
    secret_of,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.webhook_mail import addresses

SETTING = "signing_key"
_SIGNATURE = "x-mandrill-signature"
_EVENTS = "mandrill_events"
_KINDS = {
    "unsub": NewsKind.OPTED_OUT,
    "spam": NewsKind.COMPLAINED,
    "hard_bounce": NewsKind.BOUNCED,
    "soft_bounce": NewsKind.BOUNCED,
}
_REJECTED = {"unsub": NewsKind.OPTED_OUT, "spam": NewsKind.COMPLAINED}
_OF_NO_USE = {"send", "deferral", "delivered", "open", "click", "reject", "inbound"}
_LISTS = {"blacklist", "denylist", "whitelist", "allowlist"}


class MandrillNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the webhook's key, which Mandrill shows once the webhook is made; those "
        "of several webhooks with spaces between",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource. Any age is taken, since no time is signed."""
        keys = secret_of(settings, SETTING).split()
        given = header(post, _SIGNATURE)
        try:
            form = sorted(form_fields(post.body))
        except InvalidInput as error:
            raise Unverified(str(error)) from None
        # The URL as it was entered at Mandrill, then the form's fields by name.
        signed = post.url + "".join(name + value for name, value in form)
        raw = signed.encode(errors="surrogatepass")
        expected = [base64.b64encode(hmac.digest(key.encode(), raw, "sha1")) for key in keys]
        if not any([same(given, each.decode()) for each in expected]):  # noqa: C419 - all
            raise Unverified("the signature does not match")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        events = dict(form_fields(body)).get(_EVENTS)
        if events is None:
            raise InvalidInput("the body is not what the vendor promises")
        return addressed(news for row in json_objects(events.encode()) if (news := _read(row)))

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://mailchimp.com/developer/transactional/docs/inbound-email/."""
        rows = json_objects(dict(form_fields(body)).get(_EVENTS, "[]").encode())
        messages = [part(row, "msg") for row in rows if text(row, "event") == "inbound"]
        return [
            ReceivedMail(
                text(each, "raw_msg").encode(errors="replace"),
                addresses(text(each, "email")),
                text(each, "sender"),
            )
            for each in messages
            if text(each, "raw_msg")
        ]


def _read(row: dict[str, Any]) -> News | None:
    name, listed = text(row, "event"), text(row, "type")
    if not name and listed in _LISTS:
        return _read_list(listed, row)
    message = part(row, "msg")
    kind = _KINDS.get(name)
    # A mail that Mandrill did not send, since the person had said no to an earlier one.
    rejected = _REJECTED.get(text(part(message, "reject"), "reason")) if name == "reject" else None
    if kind is None and rejected is None:
        return None if name in _OF_NO_USE else unknown(name)
    return News(
        kind or rejected or NewsKind.BOUNCED,
        text(message, "email"),
        at=moment(row.get("ts")),
        # `_id` is the message's: it may bounce and be complained of.
        id=f"{text(row, '_id')} {name} {text(row, 'ts')}" if text(row, "_id") else "",
        by_person=kind in _REJECTED.values(),
        bounce=_bounce(name, message) if kind is NewsKind.BOUNCED else None,
    )


def _read_list(listed: str, row: dict[str, Any]) -> News | None:
    """A change of Mandrill's own lists: only who was added for what they said is news."""
    entry = part(row, "reject")
    kind = _REJECTED.get(text(entry, "reason"))
    if listed in {"whitelist", "allowlist"} or text(row, "action") != "add" or kind is None:
        return None
    return News(kind, text(entry, "email"), at=moment(row.get("ts")))


def _bounce(name: str, message: dict[str, Any]) -> Bounce:
    said = text(message, "diag").removeprefix("smtp;").strip()
    reply = said[:3]
    return Bounce(
        status=status_in(said),
        reply=reply if reply.isdigit() else "",
        text=said or text(message, "bounce_description"),
        permanent=name == "hard_bounce",
    )
