"""Mailtrap's webhooks, signed with HMAC-SHA256 over the body.

https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
https://docs.mailtrap.io/email-api-smtp/analytics/statuses-and-events
https://docs.mailtrap.io/email-api-smtp/deliverability/bounce-categorization
The events come in one object, or one a line (JSON Lines). No time is signed; an event has an
id, and counts once. A soft bounce and a suspension are tried again. What somebody is
suppressed for is said in the words of a `reject`. Of a mail received Mailtrap has no more than a
number, so that a person has to read it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    header,
    json_objects,
    moment,
    secret_of,
    several,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_signed

SETTING = "webhook_secret"
_KINDS = {
    "unsubscribe": NewsKind.OPTED_OUT,
    "spam": NewsKind.COMPLAINED,
    "bounce": NewsKind.BOUNCED,
}
_OF_NO_USE = {"delivery", "open", "click", "soft bounce", "soft_bounce", "suspension"}
_OF_THE_ACCOUNT = "activity_log."
_SUPPRESSED = "suppression list"
_NOTED = (
    ("unsubscri", NewsKind.OPTED_OUT),
    ("spam", NewsKind.COMPLAINED),
    ("complain", NewsKind.COMPLAINED),
    ("bounce", NewsKind.BOUNCED),
)
"""Words in the reason why somebody is suppressed there."""
_VERDICTS: Mapping[str, bool] = {
    "hard": True,
    "invalid_recipient": True,
    "transientfail": False,
    "greylisting": False,
    "badsender": False,
    "block": False,
    "content": False,
    "spam": False,
    "dnsfail": False,
}
"""Categories of bounces, in lower case -> whether Mailtrap suppresses for them."""


class MailtrapNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the signing secret of the webhook that calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        secret = secret_of(settings, SETTING)
        ensure_signed(secret, post.body, header(post, "mailtrap-signature"))

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in _events(body) if (news := _read(row)) is not None)


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for row in _objects(body):
        if "events" not in row:
            yield row
        for event in several(row, "events"):
            if not isinstance(event, dict):
                raise InvalidInput("the body is not what the vendor promises")
            yield event


def _objects(body: bytes) -> list[dict[str, Any]]:
    try:
        return json_objects(body)
    except InvalidInput:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) <= 1:
            raise
        return [row for line in lines for row in json_objects(line)]


def _read(row: dict[str, Any]) -> News | None:
    event, reason = text(row, "event"), text(row, "reason").casefold()
    if not event:
        raise InvalidInput("the body is not what the vendor promises")
    if event in _OF_NO_USE or event.startswith(_OF_THE_ACCOUNT):
        return None
    kind = _KINDS.get(event)
    if event == "reject":
        if _SUPPRESSED not in reason:
            return None  # the sender's own: a domain that is not verified, or a policy
        kind = next((kind for word, kind in _NOTED if word in reason), None)
    if kind is None:
        return unknown(event)
    is_bounce = kind is NewsKind.BOUNCED
    return News(
        kind,
        text(row, "email"),
        at=moment(row.get("timestamp")),
        id=text(row, "event_id"),
        by_person=not is_bounce and event != "reject",
        bounce=_bounce(event, row) if is_bounce else None,
    )


def _bounce(event: str, row: dict[str, Any]) -> Bounce:
    if event == "reject":  # it was for good, or Mailtrap would not have noted it
        return Bounce(text=text(row, "reason"), permanent=True)
    said = text(row, "response")
    verdict = _VERDICTS.get(text(row, "bounce_category").casefold())
    return Bounce(status_in(said), text(row, "response_code"), said, permanent=verdict)
