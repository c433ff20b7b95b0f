"""Resend's webhooks, signed by Svix: Standard Webhooks with other names of headers.

https://resend.com/docs/webhooks/verify-webhooks-requests
https://resend.com/docs/webhooks/event-types
https://resend.com/docs/webhooks/emails/bounced
https://resend.com/docs/webhooks/contacts/topics-updated
An event's id is in a header only; its moment tells acts apart. A mail with several
recipients makes an event that doesn't say whose it is. `contact.updated` tells how a contact
stands after any change: who is unsubscribed there is so again with each. A mail is
`suppressed` whose recipient bounced for good, or complained, before. `email.received` has
who wrote to whom and the subject, but not the text: where the subject does not say it all,
a person has to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_standard
from preference_center.integrations.base.webhook_mail import addresses, composed

SETTING = "webhook_secret"
_TOPICS = "contact.topics.updated"
_CONTACTS = {"contact.created", "contact.updated"}
_OF_NO_USE = {
    "email.sent", "email.delivered", "email.delivery_delayed", "email.opened",
    "email.clicked", "email.failed", "email.scheduled", "email.received",
    "contact.deleted", "domain.created", "domain.updated", "domain.deleted",
}  # fmt: skip
_RECEIVED = "email.received"
_ADDED, _REMOVED = "suppression.added", "suppression.removed"
_ORIGINS = {
    "bounce": NewsKind.BOUNCED,
    "complaint": NewsKind.COMPLAINED,
    "manual": NewsKind.OPTED_OUT,  # by somebody in the dashboard, or by an API call of ours
}
_PERMANENT = {"Permanent": True, "Transient": False}
_STATES = {"opt_out": NewsKind.OPTED_OUT, "opt_in": NewsKind.RESUBSCRIBED}


class ResendNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the signing secret, whsec_..., of the webhook that calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        ensure_standard(post, secret_of(settings, SETTING), now, prefix="svix")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) for news in _read(row))

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail."""
        rows = [row for row in json_objects(body) if text(row, "type") == _RECEIVED]
        return [_mail(part(row, "data")) for row in rows]


def _read(row: dict[str, Any]) -> Iterator[News]:
    event, data, at = text(row, "type"), part(row, "data"), iso_moment(row.get("created_at"))
    address = text(data, "email")
    if event in _OF_NO_USE:
        return
    if event in {"email.bounced", "email.complained", "email.suppressed"}:
        yield _of_mail(event, data, at)
    elif event == _ADDED:
        yield _of_suppression(data, at)
    elif event == _REMOVED:
        yield News(NewsKind.RESUBSCRIBED, address, at=at)
    elif event == _TOPICS:
        for topic in several(data, "topics"):
            yield _of_topic(topic, address, at)
    elif event in _CONTACTS:
        said = data.get("unsubscribed")
        kind = NewsKind.OPTED_OUT if said is True else NewsKind.SEEN
        yield News(kind, address, at=at, all_off=said if isinstance(said, bool) else None)
    else:
        yield unknown(event)


def _of_mail(event: str, data: dict[str, Any], at: datetime | None) -> News:
    recipients = several(data, "to")
    if len(recipients) > 1:
        return unknown(f"{event} of several recipients")
    address = str(recipients[0]) if recipients else ""
    if event == "email.complained":
        return News(NewsKind.COMPLAINED, address, at=at, by_person=True)
    if event == "email.suppressed":
        said = text(part(data, "suppressed"), "message")
        return News(NewsKind.BOUNCED, address, at=at, bounce=Bounce(text=said, permanent=True))
    told = part(data, "bounce")
    words = [text(told, "message"), *map(str, several(told, "diagnosticCode"))]
    bounce = Bounce(text=" ".join(words), permanent=_PERMANENT.get(text(told, "type")))
    return News(NewsKind.BOUNCED, address, at=at, bounce=bounce)


def _of_suppression(data: dict[str, Any], at: datetime | None) -> News:
    kind = _ORIGINS.get(text(data, "origin"))
    if kind is None:
        return unknown(_ADDED)
    bounce = Bounce(permanent=True) if kind is NewsKind.BOUNCED else None
    by_person = kind is NewsKind.COMPLAINED
    return News(kind, text(data, "email"), at=at, by_person=by_person, bounce=bounce)


def _mail(data: dict[str, Any]) -> ReceivedMail:
    recipients = [str(each) for each in several(data, "to")]
    headers = [
        ("From", text(data, "from")),
        ("To", ", ".join(recipients)),
        ("Subject", text(data, "subject")),
        ("Message-ID", text(data, "message_id")),
    ]
    return ReceivedMail(composed(headers, ""), addresses(*recipients))


def _of_topic(topic: object, address: str, at: datetime | None) -> News:
    state = topic if isinstance(topic, dict) else {}
    kind, thing = _STATES.get(text(state, "subscription")), text(state, "id")
    return News(kind, address, thing, at) if kind and thing else unknown(_TOPICS)
