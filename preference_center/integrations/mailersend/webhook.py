"""MailerSend's webhooks, signed with HMAC-SHA256 over the body.

https://developers.mailersend.com/api/v1/webhooks.html
Nothing that is signed tells when it was sent; an event has an id, and counts once. Before a
webhook is saved MailerSend tries the URL with a `webhook.test`, signed with a secret that it
publishes: that is believed, since it says nothing. Both forms of an activity are read, with
the recipient in `data` and, the older, in `data.email`; the newer one is known from
https://github.com/anymail/django-anymail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    header,
    iso_moment,
    json_objects,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_signed
from preference_center.integrations.base.webhook_mail import composed, fields, mailbox

SETTING = "webhook_secret"
TEST = "webhook.test"
INBOUND = "inbound.message"
TEST_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"  # noqa: S105 - everybody may know it
_KINDS = {
    "activity.unsubscribed": NewsKind.OPTED_OUT,
    "activity.spam_complaint": NewsKind.COMPLAINED,
    "activity.spam_complaints": NewsKind.COMPLAINED,
    "activity.hard_bounced": NewsKind.BOUNCED,
    "activity.soft_bounced": NewsKind.BOUNCED,
}
_NOTED = (
    ("unsubscri", NewsKind.OPTED_OUT),
    ("spam", NewsKind.COMPLAINED),
    ("bounce", NewsKind.BOUNCED),
)
"""Words in the reason why a mail was suppressed."""
_OF_NO_USE = {
    TEST, INBOUND, "activity.sent", "activity.delivered", "activity.deferred", "activity.opened",
    "activity.opened_unique", "activity.clicked", "activity.clicked_unique",
    "activity.survey_opened", "activity.survey_submitted",
    "sender_identity.verified", "maintenance.start", "maintenance.end",
}  # fmt: skip


class MailerSendNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the signing secret of the webhook that calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        secret, given = secret_of(settings, SETTING), header(post, "signature")
        try:
            ensure_signed(secret, post.body, given)
        except Unverified:
            ensure_signed(TEST_SECRET, post.body, given)
            if not _is_test(post.body):
                raise

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) if (news := _read(row)) is not None)

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://developers.mailersend.com/api/v1/inbound.html."""
        rows = [row for row in json_objects(body) if text(row, "type") == INBOUND]
        return [_mail(part(row, "data")) for row in rows]


def _mail(data: dict[str, Any]) -> ReceivedMail:
    raw, sender = text(data, "raw"), part(data, "from")
    name, address = text(sender, "name"), text(sender, "email")
    headers = [("From", mailbox(name, address)), ("Subject", text(data, "subject"))]
    others = [
        (name, value)
        for name, value in fields(part(data, "headers"))
        if name.casefold() not in {"from", "subject"}
    ]
    whole = composed([*headers, *others], text(data, "text"), text(data, "html"))
    rcpt = several(part(data, "recipients"), "rcptTo")
    recipients = [text(each, "email") for each in rcpt if isinstance(each, dict)]
    return ReceivedMail(raw.encode() or whole, recipients)


def _is_test(body: bytes) -> bool:
    try:
        return [text(row, "type") for row in json_objects(body)] == [TEST]
    except InvalidInput:
        return False


def _read(row: dict[str, Any]) -> News | None:
    data = part(row, "data")
    event = text(row, "type") or f"activity.{text(data, 'type')}"  # an activity has its name twice
    if event in _OF_NO_USE:
        return None
    meta = part(data, "meta")
    reason = text(meta, "bounce_reason") or text(part(data, "morph"), "reason")
    kind = _KINDS.get(event)
    if event == "activity.suppressed":  # not sent, because of what was noted before
        reason = text(meta, "reason") or text(data, "reason") or reason
        kind = next((kind for word, kind in _NOTED if word in reason.casefold()), None)
    if kind is None:
        return unknown(event)
    is_bounce = kind is NewsKind.BOUNCED
    permanent = "soft" not in event
    bounce = Bounce(reply=text(meta, "bounce_code"), text=reason, permanent=permanent)
    return News(
        kind=kind,
        address=text(data, "recipient") or text(part(data, "email", "recipient"), "email"),
        at=iso_moment(row.get("created_at")) or iso_moment(data.get("created_at")),
        id=text(data, "id"),
        by_person=not is_bounce,
        bounce=bounce if is_bounce else None,
    )
