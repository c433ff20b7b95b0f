"""Reports of a program of the company's own, as Standard Webhooks 1.0.0; see docs/inbound.md.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
The form is ours: one event, or an array of them, each with `type`, `timestamp` and `data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    part,
    secret_of,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_standard

SETTING = "webhook_secret"
_KINDS = {str(kind): kind for kind in NewsKind if kind is not NewsKind.UNKNOWN}


class StandardNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "whsec_ and 24 to 64 bytes in base64; several, separated by spaces, while "
        "one replaces another: any of them may have signed",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource."""
        ensure_standard(post, secret_of(settings, SETTING), now)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(_read(row) for row in json_objects(body))


def _read(row: dict[str, Any]) -> News:
    data, kind = part(row, "data"), _KINDS.get(text(row, "type"))
    if kind is None:
        return unknown(text(row, "type"))
    channel = text(data, "channel") or Channel.EMAIL
    if channel not in set(Channel):
        return unknown(f"{kind} by an unknown channel")
    act, topic, told = text(data, "id"), text(data, "topic"), part(data, "bounce")
    permanent = told.get("permanent")
    bounce = Bounce(
        text(told, "status"),
        text(told, "reply"),
        text(told, "text"),
        permanent if isinstance(permanent, bool) else None,
    )
    return News(
        kind=kind,
        address=text(data, "address"),
        thing=topic or None,
        at=iso_moment(row.get("timestamp")),
        id=f"{act} {kind} {topic}".strip() if act else "",
        by_person=data.get("by_person") is True,
        channel=Channel(channel),
        bounce=bounce if kind is NewsKind.BOUNCED else None,
    )
