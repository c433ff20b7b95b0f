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

from preference_center.domain.bounces import Bounce
from preference_center.domain.news import News, NewsKind, Post, Unverified
from preference_center.domain.news.reading import (
    addressed,
    header,
    iso_moment,
    json_objects,
    part,
    secret_of,
    text,
    unknown,
)
from preference_center.domain.news.signing import ensure_signed
from preference_center.errors import InvalidInput

SETTING = "webhook_secret"
TEST = "webhook.test"
TEST_SECRET = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"  # noqa: S105 - everybody may know it
_KINDS = {
    "activity.unsubscribed": NewsKind.OPTED_OUT,
    "activity.spam_complaint": NewsKind.COMPLAINED,
    "activity.spam_complaints": NewsKind.COMPLAINED,
    "activity.hard_bounced": NewsKind.BOUNCED,
    "activity.soft_bounced": NewsKind.BOUNCED,
}
_OF_NO_USE = {
    TEST, "activity.sent", "activity.delivered", "activity.deferred", "activity.opened",
    "activity.opened_unique", "activity.clicked", "activity.clicked_unique",
    "activity.suppressed", "activity.survey_opened", "activity.survey_submitted",
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


def _is_test(body: bytes) -> bool:
    try:
        return [text(row, "type") for row in json_objects(body)] == [TEST]
    except InvalidInput:
        return False


def _read(row: dict[str, Any]) -> News | None:
    event, data = text(row, "type"), part(row, "data")
    if event in _OF_NO_USE:
        return None
    kind = _KINDS.get(event)
    if kind is None:
        return unknown(event)
    meta = part(data, "meta")
    reason = text(meta, "bounce_reason") or text(part(data, "morph"), "reason")
    bounce = Bounce(reply=text(meta, "bounce_code"), text=reason, permanent="hard" in event)
    is_bounce = kind is NewsKind.BOUNCED
    return News(
        kind=kind,
        address=text(data, "recipient") or text(part(data, "email", "recipient"), "email"),
        at=iso_moment(row.get("created_at")) or iso_moment(data.get("created_at")),
        id=text(data, "id"),
        by_person=not is_bounce,
        bounce=bounce if is_bounce else None,
    )
