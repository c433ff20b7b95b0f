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

from preference_center.domain.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.payload import (
    get_list,
    get_object,
    get_text,
    parse_epoch,
    parse_json_objects,
    require_header,
    require_recipient,
    require_setting,
    unknown_event,
)
from preference_center.integrations.base.signatures import verify_hmac, verify_timestamp

SECRET_SETTING = "webhook_secret"
_MILLISECONDS = 1000
_IGNORED = ("post.", "page.", "tag.", "site.")


class GhostWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the secret that Ghost's webhooks to /in/NAME are set up with",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        secret = require_setting(settings, SECRET_SETTING)
        signature = _signature(request)
        stamp = signature.get("t", "")
        verify_hmac(secret, request.body + stamp.encode(), signature.get("sha256", ""))
        verify_timestamp(parse_epoch(stamp, per_second=_MILLISECONDS), now)

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated."""
        stamp = _signature(request).get("t", "")
        return b'{"at": %s, "said": %s}' % (stamp.encode(), request.body)

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = [(get_object(row, "said"), row.get("at")) for row in parse_json_objects(body)]
        return require_recipient(
            news
            for said, at in rows
            for news in _read_event(said, parse_epoch(at, per_second=_MILLISECONDS))
        )


def _signature(request: WebhookRequest) -> dict[str, str]:
    """`sha256=..., t=...`."""
    pairs = (
        each.strip().partition("=")
        for each in require_header(request, "x-ghost-signature").split(",")
    )
    return {name: value for name, _, value in pairs}


def _read_event(row: dict[str, Any], occurred_at: datetime | None) -> Iterator[VendorEvent]:
    event = get_text(row, "event") or next((f"{name}." for name in row), "")  # older: no event
    if event.startswith(_IGNORED):
        return
    if "member" not in row:
        yield unknown_event(event)
        return
    now, before = get_object(row, "member", "current"), get_object(row, "member", "previous")
    if not now:
        return  # deleted: no word of the person
    address = get_text(now, "email")
    has = _newsletters(now)
    had = _newsletters(before) if "newsletters" in before else has
    for number in sorted(had - has):
        yield VendorEvent(VendorEventKind.OPTED_OUT, address, number, occurred_at)
    for number in sorted(has - had):
        yield VendorEvent(VendorEventKind.RESUBSCRIBED, address, number, occurred_at)
    if had == has:
        yield VendorEvent(VendorEventKind.CONTACT_CHANGED, address, occurred_at=occurred_at)


def _newsletters(member: dict[str, Any]) -> set[str]:
    found = (
        get_text(each, "id") for each in get_list(member, "newsletters") if isinstance(each, dict)
    )
    return {number for number in found if number}
