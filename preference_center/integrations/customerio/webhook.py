"""Customer.io's reporting webhooks, signed with HMAC-SHA256 over `v0:timestamp:body`.

https://docs.customer.io/integrations/api/webhooks
https://docs.customer.io/integrations/data-out/connections/webhooks
Customer.io retries for seven days; whether with a new timestamp is not documented, so that age
is accepted: an event has an id, and counts once. A customer's `unsubscribed` may be
set by an API call; the unsubscribe of an email is the recipient's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "webhook_secret"
MAX_AGE = timedelta(days=7) + webhook.DEFAULT_MAX_AGE
_PREFERENCE_METRICS = {"cio_subscription_preferences_changed", "subscription_preferences_changed"}
_KINDS = {
    ("customer", "unsubscribed"): VendorEventKind.OPTED_OUT,
    ("email", "unsubscribed"): VendorEventKind.OPTED_OUT,
    ("email", "spammed"): VendorEventKind.COMPLAINED,
    ("email", "bounced"): VendorEventKind.BOUNCED,
    ("customer", "subscribed"): VendorEventKind.RESUBSCRIBED,
}
_UNSUBSCRIBED_FROM_ALL = {("customer", "unsubscribed"): True, ("customer", "subscribed"): False}
"""Events about the person's own switch for everything -> whether it is off."""
_IGNORED = {
    "drafted", "attempted", "sent", "delivered", "opened", "human_opened", "clicked",
    "human_clicked", "converted", "deferred", "dropped", "suppressed", "failed",
    "undeliverable",
}  # fmt: skip


class CustomerIoWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the signing key of the reporting webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        given = request.require_header("x-cio-signature")
        stamp = request.require_header("x-cio-timestamp")
        webhook.verify_hmac(secret, f"v0:{stamp}:".encode() + request.body, given)
        webhook.verify_timestamp(webhook.parse_epoch(stamp), now, MAX_AGE)

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.require_recipient(
            chain.from_iterable(map(_read_event, webhook.parse_json_objects(body)))
        )


def _read_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    about, metric = row.text("object_type"), row.text("metric")
    if metric in _IGNORED:
        return
    data = row.nested("data")
    address = (
        data.text("recipient") or data.text("email_address") or data.text("identifiers", "email")
    )
    at, act = row.epoch("timestamp"), row.text("event_id")
    kind = _KINDS.get((about, metric))
    if metric in _PREFERENCE_METRICS:
        yield from _read_preferences(data, address, at, act)
    elif kind is None:
        yield webhook.unknown_event(f"{about} {metric}")
    else:
        bounce = Bounce(diagnostic=data.text("failure_message")) if metric == "bounced" else None
        by_person = about == "email" and bounce is None
        switch = _UNSUBSCRIBED_FROM_ALL.get((about, metric))
        yield VendorEvent(
            kind, address, None, at, act, by_person, bounce=bounce, unsubscribed_from_all=switch
        )


def _read_preferences(
    data: webhook.JsonObject, address: str, occurred_at: datetime | None, event_id: str
) -> Iterator[VendorEvent]:
    """A topic each, and the channel email, of those that `content` has: JSON in a string."""
    try:
        (content,) = webhook.parse_json_objects(data.text("content").encode())
    except (InvalidInput, ValueError):
        yield webhook.unknown_event("preferences without content")
        return
    for name, is_on in content.nested("topics").items():
        if isinstance(is_on, bool):  # else the person chose nothing
            kind = VendorEventKind.RESUBSCRIBED if is_on else VendorEventKind.OPTED_OUT
            yield VendorEvent(
                kind, address, name, occurred_at, f"{event_id} {name}" if event_id else ""
            )
    for name, is_on in content.nested("channels").items():
        if is_on is False and name == "email":
            once = f"{event_id} {name}" if event_id else ""
            yield VendorEvent(
                VendorEventKind.OPTED_OUT,
                address,
                None,
                occurred_at,
                once,
                unsubscribed_from_all=True,
            )
        elif is_on is False:
            yield webhook.unknown_event(f"preferences of {name}")
