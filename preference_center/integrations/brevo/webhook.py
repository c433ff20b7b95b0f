"""Brevo's webhooks, of campaigns and of transactional mail. Brevo signs nothing.

https://developers.brevo.com/docs/marketing-webhooks
https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
https://help.brevo.com/hc/en-us/articles/15127404548498
Who unsubscribes is blocklisted, whatever lists the mail went to: a no to all marketing. That
the recipient did it is said at https://developers.brevo.com/reference/gettransacemailcontent;
no email is blocklisted by us. The `id` is the webhook's, the same for all acts. The form of
batches is not published: an array of the same events, in an object of one field or not. Events
of SMS have their type in `msg_status` and the number in `to`. Which of them reports an opt-out
is not published either: those that are called as with email are read, and without whose act it
was; what is not known is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind, Post, ReceivedMail
from preference_center.integrations.base.payload import (
    addressed,
    json_objects,
    moment,
    part,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import BEARER, GUARD, guard
from preference_center.integrations.base.webhook_mail import composed, fields, mailbox

# The two kinds of webhook, and older pages, name the same thing differently.
_SAID = {
    "unsubscribe": NewsKind.OPTED_OUT,
    "unsubscribed": NewsKind.OPTED_OUT,
    "spam": NewsKind.COMPLAINED,
    "complaint": NewsKind.COMPLAINED,
    "contact_updated": NewsKind.SEEN,
}
_PERMANENT = {
    "hard_bounce": True,
    "hard_bounced": True,
    "invalid_email": True,
    "soft_bounce": False,
    "soft_bounced": False,
}
_OF_NO_USE = {
    "request", "sent", "delivered", "deferred", "blocked", "error", "reply", "click",
    "opened", "unique_opened", "proxy_open", "unique_proxy_open", "contact_deleted",
    "coupon_sent",
}  # fmt: skip
_SAID_BY_SMS = {
    "unsubscribe": NewsKind.OPTED_OUT,
    "unsubscribed": NewsKind.OPTED_OUT,
    "subscribe": NewsKind.RESUBSCRIBED,
    "subscribed": NewsKind.RESUBSCRIBED,
}
_SMS_OF_NO_USE = {
    "sent", "accepted", "delivered", "replied", "reply", "softBounce", "soft_bounce",
    "hardBounce", "hard_bounce", "skip", "skipped", "blacklisted", "rejected",
}  # fmt: skip
_MILLI = 1000
_LATEST_IN_SECONDS = 100_000_000_000
"""`ts_epoch` is in milliseconds, says the table; the example has seconds."""


class BrevoNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {**GUARD, **BEARER}

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        rows = (row for each in json_objects(body) for row in _rows(each))
        return addressed(news for row in rows for news in _read(row))

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://developers.brevo.com/docs/inbound-parse-webhooks."""
        rows = (row for each in json_objects(body) for row in _rows(each))
        return [_mail(row) for row in rows if _is_mail(row)]


def _is_mail(row: dict[str, Any]) -> bool:
    return "RawTextBody" in row or "RawHtmlBody" in row


def _mail(row: dict[str, Any]) -> ReceivedMail:
    headers = [*fields(part(row, "Headers"))]
    to = [text(each, "Address") for name in ("To", "Cc") for each in _objects(row, name)]
    if not headers:
        sender = part(row, "From")
        headers = [("From", mailbox(text(sender, "Name"), text(sender, "Address")))]
        headers.append(("Subject", text(row, "Subject")))
    content = composed(headers, text(row, "RawTextBody"), text(row, "RawHtmlBody"))
    recipients = [str(each) for each in several(row, "Recipients")] or to
    return ReceivedMail(content, recipients)


def _objects(row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in several(row, name) if isinstance(each, dict)]


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a batch that comes in an object; else the one event that it is."""
    for name, rows in found.items():
        if not found.keys() & {"event", "msg_status"} and isinstance(rows, list):
            return [row for row in several(found, name) if isinstance(row, dict)]
    return [found]


def _read(row: dict[str, Any]) -> Iterator[News]:
    if _is_mail(row):
        return
    if "event" not in row and "msg_status" in row:
        yield from _read_text(row)
        return
    event, address = text(row, "event"), text(row, "email")
    if event in _OF_NO_USE:
        return
    at = _at(row)
    if event in _PERMANENT:
        bounce = Bounce(text=text(row, "reason"), permanent=_PERMANENT[event])
        yield News(NewsKind.BOUNCED, address, at=at, bounce=bounce)
    elif event == "list_addition":
        for number in several(row, "list_id"):
            yield News(NewsKind.RESUBSCRIBED, address, str(number), at)
    elif event in _SAID:
        by_person = _SAID[event] is not NewsKind.SEEN
        yield News(_SAID[event], address, at=at, by_person=by_person)
    else:
        yield unknown(event)


def _read_text(row: dict[str, Any]) -> Iterator[News]:
    status = text(row, "msg_status")
    number = re.sub(r"\D", "", text(row, "to"))
    if status in _SAID_BY_SMS:
        yield News(
            _SAID_BY_SMS[status],
            f"+{number}" if number else "",
            ALL_SMS,
            _at(row),
            channel=Channel.SMS,
        )
    elif status not in _SMS_OF_NO_USE:
        yield unknown(f"SMS {status}")


def _at(row: dict[str, Any]) -> datetime | None:
    """`ts_event` and `ts_epoch` are UTC; `ts` and the dates are in the account's zone."""
    stamp = row.get("ts_epoch") or row.get("ts_event")
    is_long = isinstance(stamp, int) and stamp > _LATEST_IN_SECONDS
    return moment(stamp, per_second=_MILLI if is_long else 1)
