"""Ghost's webhooks, signed with HMAC-SHA256 over the body and a time.

https://docs.ghost.org/webhooks
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/WebhookTrigger.js
https://github.com/TryGhost/Ghost/blob/main/ghost/core/core/server/services/webhooks/serialize.js
A topic is a newsletter: one that a member had before and no longer has was left, by the member or
by an API call; the webhook does not tell them apart. Events have no id, and the body no time:
leaving a newsletter does not change `updated_at`. A member whose newsletters did not change, or
whose former newsletters an older Ghost does not report, is a changed contact. Ghost retries for
less than a minute. Tried with Ghost 6.65.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

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
        secret = webhook.require_setting(settings, SECRET_SETTING)
        signature = _signature(request)
        stamp = signature.get("t", "")
        webhook.verify_hmac(secret, request.body + stamp.encode(), signature.get("sha256", ""))
        webhook.verify_timestamp(webhook.parse_epoch(stamp, per_second=_MILLISECONDS), now)

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated."""
        stamp = _signature(request).get("t", "")
        return b'{"at": %s, "body": %s}' % (stamp.encode(), request.body)

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.require_recipient(
            event
            for row in webhook.parse_json_objects(body)
            for event in _read_event(row.nested("body"), row.epoch("at", per_second=_MILLISECONDS))
        )


def _signature(request: WebhookRequest) -> dict[str, str]:
    """`sha256=..., t=...`."""
    pairs = (
        each.strip().partition("=")
        for each in request.require_header("x-ghost-signature").split(",")
    )
    return {name: value for name, _, value in pairs}


def _read_event(row: webhook.JsonObject, occurred_at: datetime | None) -> Iterator[VendorEvent]:
    event = row.text("event") or next((f"{name}." for name in row), "")  # older: no event
    if event.startswith(_IGNORED):
        return
    if "member" not in row:
        yield webhook.unknown_event(event)
        return
    now, before = row.nested("member", "current"), row.nested("member", "previous")
    if not now:
        return  # deleted, which is no act of the person
    address = now.text("email")
    has = _newsletters(now)
    had = _newsletters(before) if "newsletters" in before else has
    for number in sorted(had - has):
        yield VendorEvent(VendorEventKind.OPTED_OUT, address, number, occurred_at)
    for number in sorted(has - had):
        yield VendorEvent(VendorEventKind.RESUBSCRIBED, address, number, occurred_at)
    if had == has:
        yield VendorEvent(VendorEventKind.CONTACT_CHANGED, address, occurred_at=occurred_at)


def _newsletters(member: webhook.JsonObject) -> set[str]:
    return {each.text("id") for each in member.rows("newsletters")} - {""}
