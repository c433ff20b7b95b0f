"""Unisender Go's webhook: JSON that carries the MD5 of itself and of the API key.

https://godocs.unisender.ru/web-api-ref#callback-format
https://godocs.unisender.ru/email-statuses
Two forms: the events of users, or one event with its fields beside the proof ("use single
event"). No time is signed and no event has an id, so that any age is taken: what is posted
twice is one body, and counts once. `soft_bounced` is tried again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    iso_moment,
    json_objects,
    part,
    same,
    secret_of,
    several,
    status_in,
    text,
    unknown,
)

SETTING = "webhook_secret"
_MD5 = re.compile(r"[0-9a-f]{32}")
_OF_EMAIL = "transactional_email_status"
_OF_SERVERS = "transactional_spam_block"
_KINDS = {
    "unsubscribed": NewsKind.OPTED_OUT,
    "subscribed": NewsKind.RESUBSCRIBED,
    "spam": NewsKind.COMPLAINED,
    "hard_bounced": NewsKind.BOUNCED,
}
_OF_NO_USE = {"sent", "delivered", "opened", "clicked", "soft_bounced"}
_UNSUBSCRIBED = "err_unsubscribed"
_GONE = {
    "err_user_unknown": "5.1.1",
    "err_mailbox_discarded": "5.1.1",
    "err_unreachable": "5.1.1",  # found permanently unavailable, by many failures
    "err_user_inactive": "5.2.1",
    "err_domain_inactive": "5.1.2",
}
"""Reasons that are about the address -> the same as an enhanced status code (RFC 3463)."""
_PASSING = {
    "err_will_retry", "err_mailbox_full", "err_spam_rejected", "err_blacklisted", "err_too_large",
    "err_skip_letter", "err_destination_misconfigured", "err_spam_skipped", "err_lost",
}  # fmt: skip


class UnisenderGoNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the API key of the user, or of the project, whose webhook calls /in/NAME",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        key = secret_of(settings, SETTING)
        try:
            (row,) = json_objects(post.body)
        except (InvalidInput, ValueError):
            raise Unverified("the request is not signed") from None
        given = text(row, "auth")
        if not _MD5.fullmatch(given):
            raise Unverified("the request is not signed")
        signed = post.body.replace(given.encode(), key.encode())
        if not same(given, hashlib.md5(signed).hexdigest()):  # noqa: S324 - the vendor's
            raise Unverified("the signature does not match")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(
            news
            for row in json_objects(body)
            for name, event in _events(row)
            if (news := _read(name, event)) is not None
        )


def _events(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the fields of each event, in both forms."""
    if "events_by_user" not in row:
        yield text(row, "event_name"), row
    for user in several(row, "events_by_user"):
        for event in several(user, "events") if isinstance(user, dict) else []:
            if isinstance(event, dict):
                yield text(event, "event_name"), part(event, "event_data")


def _read(name: str, event: dict[str, Any]) -> News | None:
    status, info = text(event, "status"), part(event, "delivery_info")
    reason = text(info, "delivery_status")
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    if name != _OF_EMAIL:
        return None if name == _OF_SERVERS else unknown(name)
    kind = _KINDS.get(status)
    is_noted = status.endswith("bounced") and reason == _UNSUBSCRIBED  # and was not sent
    if kind is None and not is_noted:
        return None if status in _OF_NO_USE else unknown(status)
    kind = NewsKind.OPTED_OUT if is_noted or kind is None else kind
    return News(
        kind,
        text(event, "email"),
        at=iso_moment(event.get("event_time"), zone=UTC),
        by_person=kind in {NewsKind.OPTED_OUT, NewsKind.COMPLAINED} and not is_noted,
        bounce=_bounce(reason, info) if kind is NewsKind.BOUNCED else None,
    )


def _bounce(reason: str, info: dict[str, Any]) -> Bounce:
    said = text(info, "destination_response")
    code = _GONE.get(reason, "")
    permanent = True if code else False if reason in _PASSING else None
    reply = said[:3]
    return Bounce(
        code or status_in(said), reply if reply.isdigit() else "", said, permanent=permanent
    )
