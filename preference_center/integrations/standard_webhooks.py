"""This module reads reports of a company's own programs, as Standard Webhooks 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
The form is ours, see docs/inbound.md: one event, or an array of them, each with `type`,
`timestamp` and `data`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base import webhook
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(
    __name__, "Standard Webhooks, of your own programs", webhook="StandardWebhookSource"
)


SECRET_SETTING = "webhook_secret"


_MESSAGE, _EVENTS = "webhook_id", "events"
"""Of what is stored of a request."""


_KINDS = {str(kind): kind for kind in VendorEventKind if kind is not VendorEventKind.UNKNOWN_TYPE}


class StandardWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "whsec_ and 24 to 64 bytes in base64; several, separated by "
        "spaces, while "
        "one replaces another: any of them may have signed",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        webhook.verify_standard_webhook(
            request, webhook.require_setting(settings, SECRET_SETTING), now
        )

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated: two messages may have the same body, but not the same signed id."""
        rows = webhook.parse_json_objects(request.body)
        return json.dumps({_MESSAGE: request.require_header("webhook-id"), _EVENTS: rows}).encode()

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource. An event without an id of its own has that of its message.

        Not a bounce: without an id, several reports of one day are one.
        """
        rows = webhook.parse_json_objects(body)
        message = rows[0].text(_MESSAGE) if rows else ""
        if message:
            rows = rows[0].rows(_EVENTS)
        return webhook.require_recipient(
            _read_event(row, f"{message} {number}" if message else "")
            for number, row in enumerate(rows)
        )


def _read_event(row: webhook.JsonObject, fallback_id: str) -> VendorEvent:
    data, kind = row.nested("data"), _KINDS.get(row.text("type"))
    if kind is None:
        return webhook.unknown_event(row.text("type"))
    channel = data.text("channel") or Channel.EMAIL
    if channel not in set(Channel):
        return webhook.unknown_event(f"{kind} by an unknown channel")
    if kind is VendorEventKind.BOUNCED:
        fallback_id = ""
    id_, topic, report = data.text("id"), data.text("topic"), data.nested("bounce")
    permanent = report.get("permanent")
    bounce = Bounce(
        report.text("status"),
        report.text("reply"),
        report.text("text"),
        permanent if isinstance(permanent, bool) else None,
    )
    return VendorEvent(
        kind=kind,
        address=data.text("address"),
        target=topic or None,
        occurred_at=row.iso_time("timestamp"),
        id=f"{id_} {kind} {topic}".strip() if id_ else fallback_id,
        by_person=data.get("by_person") is True,
        channel=Channel(channel),
        bounce=bounce if kind is VendorEventKind.BOUNCED else None,
    )


SPEC = webhook_only_spec(
    "standard_webhooks",
    StandardWebhookSource,
    "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    notes=("Name with --sends the topics that it may report.",),
    erase_note="Have the program that reports delete what it holds about the address.",
)
