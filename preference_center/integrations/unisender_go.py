"""This module reads Unisender Go's webhook.

https://godocs.unisender.ru/web-api-ref#callback-format
https://godocs.unisender.ru/email-statuses
The body is JSON that carries the MD5 of itself and of the API key. It has two forms: the events of
users, or one event with its fields next to the signature ("use single event"). No time is signed
and no event has an id, so that any age is accepted: what is posted twice is one body, and counts
once. `soft_bounced` is retried.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "Unisender Go", webhook="UnisenderGoWebhookSource")


SECRET_SETTING = "webhook_secret"


_MD5 = re.compile(r"[0-9a-f]{32}")


_EMAIL_STATUS = "transactional_email_status"


_SPAM_BLOCK = "transactional_spam_block"


_KINDS = {
    "unsubscribed": VendorEventKind.OPTED_OUT,
    "subscribed": VendorEventKind.RESUBSCRIBED,
    "spam": VendorEventKind.COMPLAINED,
    "hard_bounced": VendorEventKind.BOUNCED,
}


_IGNORED = {"sent", "delivered", "opened", "clicked", "soft_bounced"}


_UNSUBSCRIBED_REASON = "err_unsubscribed"


_ADDRESS_ERROR_STATUSES = {
    "err_user_unknown": "5.1.1",
    "err_mailbox_discarded": "5.1.1",
    "err_unreachable": "5.1.1",  # found permanently unavailable, by many failures
    "err_user_inactive": "5.2.1",
    "err_domain_inactive": "5.1.2",
}
"""Reasons that are about the address -> the same as an enhanced status code (RFC 3463)."""


_TEMPORARY_REASONS = {
    "err_will_retry", "err_mailbox_full", "err_spam_rejected", "err_blacklisted", "err_too_large",
    "err_skip_letter", "err_destination_misconfigured", "err_spam_skipped", "err_lost",
}  # fmt: skip


class UnisenderGoWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the API key of the user, or of the project, whose webhook calls "
        "/in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})
    requires_200: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        key = webhook.require_setting(settings, SECRET_SETTING)
        try:
            (row,) = webhook.parse_json_objects(request.body)
        except (InvalidInput, ValueError):
            raise SignatureError("the request is not signed") from None
        given = row.text("auth")
        if not _MD5.fullmatch(given):
            raise SignatureError("the request is not signed")
        signed = request.body.replace(given.encode(), key.encode())
        if not webhook.constant_time_equal(given, hashlib.md5(signed).hexdigest()):  # noqa: S324 - the vendor's
            raise SignatureError("the signature does not match")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.require_recipient(
            event
            for row in webhook.parse_json_objects(body)
            for name, fields in _iter_events(row)
            if (event := _read_event(name, fields)) is not None
        )


def _iter_events(row: webhook.JsonObject) -> Iterator[tuple[str, webhook.JsonObject]]:
    """The name and the fields of each event, in both forms."""
    if "events_by_user" not in row:
        yield row.text("event_name"), row
    for user in row.rows("events_by_user"):
        for event in user.rows("events"):
            yield event.text("event_name"), event.nested("event_data")


def _read_event(event_type: str, event: webhook.JsonObject) -> VendorEvent | None:
    status, info = event.text("status"), event.nested("delivery_info")
    reason = info.text("delivery_status")
    if not event_type:
        raise InvalidInput("the body is not what the vendor promises")
    if event_type != _EMAIL_STATUS:
        return None if event_type == _SPAM_BLOCK else webhook.unknown_event(event_type)
    kind = _KINDS.get(status)
    is_noted = status.endswith("bounced") and reason == _UNSUBSCRIBED_REASON  # and was not sent
    if kind is None and not is_noted:
        return None if status in _IGNORED else webhook.unknown_event(status)
    kind = VendorEventKind.OPTED_OUT if is_noted or kind is None else kind
    return VendorEvent(
        kind,
        event.text("email"),
        occurred_at=event.iso_time("event_time", zone=UTC),
        by_person=kind in {VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED} and not is_noted,
        bounce=_bounce(reason, info) if kind is VendorEventKind.BOUNCED else None,
    )


def _bounce(reason: str, info: webhook.JsonObject) -> Bounce:
    text = info.text("destination_response")
    code = _ADDRESS_ERROR_STATUSES.get(reason, "")
    permanent = True if code else False if reason in _TEMPORARY_REASONS else None
    return Bounce(
        code or webhook.find_status_code(text),
        webhook.find_reply_code(text),
        text,
        permanent=permanent,
    )


SPEC = webhook_only_spec(
    "unisender_go",
    UnisenderGoWebhookSource,
    "https://godocs.unisender.ru/web-api-ref#callback-format",
    "https://godocs.unisender.ru/email-statuses",
    erase_note="It keeps no contacts that its API could delete: have its support delete the mails "
    "to the address, and leave its suppression.",
)
