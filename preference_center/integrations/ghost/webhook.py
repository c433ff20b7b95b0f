"""Ghost's webhooks, signed with HMAC-SHA256 over the body and a time.

https://docs.ghost.org/webhooks
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/WebhookTrigger.js
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/serialize.js
A topic is a newsletter: what a member had before and has no more was left. Whether by the
member or by an API call isn't said, and there is no id. The body doesn't say when, either:
leaving a newsletter leaves `updated_at` as it was. A member whose newsletters did not change,
or of whom an older Ghost doesn't tell what they were, is just seen. Ghost tries for less than
a minute. Tried with Ghost 6.65.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.vendor_events import News, NewsKind, Post
from preference_center.integrations.base.payload import (
    addressed,
    header,
    json_objects,
    moment,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_recent, ensure_signed

SETTING = "webhook_secret"
_MILLI = 1000
_OF_NO_USE = ("post.", "page.", "tag.", "site.")


class GhostNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the secret that Ghost's webhooks to /in/NAME are set up with",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        secret = secret_of(settings, SETTING)
        signature = _signature(post)
        stamp = signature.get("t", "")
        ensure_signed(secret, post.body + stamp.encode(), signature.get("sha256", ""))
        ensure_recent(moment(stamp, per_second=_MILLI), now)

    def whole(self, post: Post) -> bytes:
        """See Dated."""
        stamp = _signature(post).get("t", "")
        return b'{"at": %s, "said": %s}' % (stamp.encode(), post.body)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        rows = [(part(row, "said"), row.get("at")) for row in json_objects(body)]
        return addressed(
            news for said, at in rows for news in _read(said, moment(at, per_second=_MILLI))
        )


def _signature(post: Post) -> dict[str, str]:
    """`sha256=..., t=...`."""
    pairs = (each.strip().partition("=") for each in header(post, "x-ghost-signature").split(","))
    return {name: value for name, _, value in pairs}


def _read(row: dict[str, Any], at: datetime | None) -> Iterator[News]:
    event = text(row, "event") or next((f"{name}." for name in row), "")  # older: no event
    if event.startswith(_OF_NO_USE):
        return
    if "member" not in row:
        yield unknown(event)
        return
    now, before = part(row, "member", "current"), part(row, "member", "previous")
    if not now:
        return  # deleted: no word of the person
    address = text(now, "email")
    has = _newsletters(now)
    had = _newsletters(before) if "newsletters" in before else has
    for number in sorted(had - has):
        yield News(NewsKind.OPTED_OUT, address, number, at)
    for number in sorted(has - had):
        yield News(NewsKind.RESUBSCRIBED, address, number, at)
    if had == has:
        yield News(NewsKind.SEEN, address, at=at)


def _newsletters(member: dict[str, Any]) -> set[str]:
    found = (text(each, "id") for each in several(member, "newsletters") if isinstance(each, dict))
    return {number for number in found if number}
