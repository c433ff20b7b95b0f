"""Customer.io's reporting webhooks, signed with HMAC-SHA256 over `v0:timestamp:body`.

https://docs.customer.io/integrations/api/webhooks
https://docs.customer.io/integrations/data-out/connections/webhooks
Customer.io tries again for seven days; whether with a new timestamp is not said, so that
much age is taken: an event has an id, and counts once. A customer's `unsubscribed` may be
set by an API call; the unsubscribe of an email is the recipient's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    header,
    json_objects,
    moment,
    part,
    secret_of,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import FRESH, ensure_recent, ensure_signed

SETTING = "webhook_secret"
LATE = timedelta(days=7) + FRESH
_PREFERENCES = {"cio_subscription_preferences_changed", "subscription_preferences_changed"}
_KINDS = {
    ("customer", "unsubscribed"): NewsKind.OPTED_OUT,
    ("email", "unsubscribed"): NewsKind.OPTED_OUT,
    ("email", "spammed"): NewsKind.COMPLAINED,
    ("email", "bounced"): NewsKind.BOUNCED,
    ("customer", "subscribed"): NewsKind.RESUBSCRIBED,
}
_SWITCHES = {("customer", "unsubscribed"): True, ("customer", "subscribed"): False}
"""What says how the person's own switch for all stands."""
_OF_NO_USE = {
    "drafted", "attempted", "sent", "delivered", "opened", "human_opened", "clicked",
    "human_clicked", "converted", "deferred", "dropped", "suppressed", "failed",
    "undeliverable",
}  # fmt: skip


class CustomerIoNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the signing key of the reporting webhook that calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        secret = secret_of(settings, SETTING)
        given, stamp = header(post, "x-cio-signature"), header(post, "x-cio-timestamp")
        ensure_signed(secret, f"v0:{stamp}:".encode() + post.body, given)
        ensure_recent(moment(stamp), now, LATE)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) for news in _read(row))


def _read(row: dict[str, Any]) -> Iterator[News]:
    about, metric = text(row, "object_type"), text(row, "metric")
    if metric in _OF_NO_USE:
        return
    data = part(row, "data")
    address = (
        text(data, "recipient")
        or text(data, "email_address")
        or text(part(data, "identifiers"), "email")
    )
    at, act = moment(row.get("timestamp")), text(row, "event_id")
    kind = _KINDS.get((about, metric))
    if metric in _PREFERENCES:
        yield from _preferences(data, address, at, act)
    elif kind is None:
        yield unknown(f"{about} {metric}")
    else:
        bounce = Bounce(text=text(data, "failure_message")) if metric == "bounced" else None
        by_person = about == "email" and bounce is None
        switch = _SWITCHES.get((about, metric))
        yield News(kind, address, None, at, act, by_person, bounce=bounce, all_off=switch)


def _preferences(
    data: dict[str, Any], address: str, at: datetime | None, act: str
) -> Iterator[News]:
    """A topic each, and the channel email, of those that `content` has: JSON in a string."""
    try:
        (content,) = json_objects(text(data, "content").encode())
    except (InvalidInput, ValueError):
        yield unknown("preferences without content")
        return
    for name, is_on in part(content, "topics").items():
        if isinstance(is_on, bool):  # else nothing was chosen
            kind = NewsKind.RESUBSCRIBED if is_on else NewsKind.OPTED_OUT
            yield News(kind, address, name, at, f"{act} {name}" if act else "")
    for name, is_on in part(content, "channels").items():
        if is_on is False and name == "email":
            once = f"{act} {name}" if act else ""
            yield News(NewsKind.OPTED_OUT, address, None, at, once, all_off=True)
        elif is_on is False:
            yield unknown(f"preferences of {name}")
