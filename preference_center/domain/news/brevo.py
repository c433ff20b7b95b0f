"""Brevo's webhooks, of campaigns and of transactional mail. Brevo signs nothing.

https://developers.brevo.com/docs/marketing-webhooks
https://developers.brevo.com/docs/transactional-webhooks
https://developers.brevo.com/docs/secured-webhooks
https://help.brevo.com/hc/en-us/articles/15127404548498
Who unsubscribes is blocklisted, whatever lists the mail went to: a no to all marketing. That
the recipient did it is said at https://developers.brevo.com/reference/gettransacemailcontent;
we blocklist nobody. The `id` is the webhook's and tells no acts apart. Batches are read as an
array of the same events; their form is not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces import Bounce
from preference_center.domain.news import News, NewsKind, Post
from preference_center.domain.news.guarding import GUARD, guard
from preference_center.domain.news.reading import (
    addressed,
    json_objects,
    moment,
    several,
    text,
    unknown,
)

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
_MILLI = 1000
_LATEST_IN_SECONDS = 100_000_000_000
"""`ts_epoch` is in milliseconds, says the table; the example has seconds."""


class BrevoNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) for news in _read(row))


def _read(row: dict[str, Any]) -> Iterator[News]:
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


def _at(row: dict[str, Any]) -> datetime | None:
    """`ts_event` and `ts_epoch` are UTC; `ts` and the dates are in the account's zone."""
    stamp = row.get("ts_epoch") or row.get("ts_event")
    is_long = isinstance(stamp, int) and stamp > _LATEST_IN_SECONDS
    return moment(stamp, per_second=_MILLI if is_long else 1)
