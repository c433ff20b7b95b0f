"""Ghost's webhooks, signed with HMAC-SHA256 over the body and a time.

https://docs.ghost.org/webhooks
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/WebhookTrigger.js
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/serialize.js
A topic is a newsletter: what a member had before and has no more was left. Whether by the
member or by an API call isn't said, and there is no id. A member whose newsletters did not
change, or of whom an older Ghost doesn't tell what they were, is just seen. Ghost tries for
less than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.news import News, NewsKind, Post
from preference_center.domain.news.reading import (
    addressed,
    header,
    iso_moment,
    json_objects,
    moment,
    part,
    secret_of,
    several,
    text,
    unknown,
)
from preference_center.domain.news.signing import ensure_recent, ensure_signed

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
        pairs = (
            each.strip().partition("=") for each in header(post, "x-ghost-signature").split(",")
        )
        signature = {name: value for name, _, value in pairs}
        stamp = signature.get("t", "")
        ensure_signed(secret, post.body + stamp.encode(), signature.get("sha256", ""))
        ensure_recent(moment(stamp, per_second=_MILLI), now)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) for news in _read(row))


def _read(row: dict[str, Any]) -> Iterator[News]:
    event = text(row, "event") or next((f"{name}." for name in row), "")  # older: no event
    if event.startswith(_OF_NO_USE):
        return
    if "member" not in row:
        yield unknown(event)
        return
    now, before = part(row, "member", "current"), part(row, "member", "previous")
    if not now:
        return  # deleted: no word of the person
    address, at = text(now, "email"), iso_moment(now.get("updated_at"))
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
