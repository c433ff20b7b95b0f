"""This module reads Mailtrap's webhooks, signed with HMAC-SHA256 over the body.

https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
https://docs.mailtrap.io/email-api-smtp/analytics/statuses-and-events
https://docs.mailtrap.io/email-api-smtp/deliverability/bounce-categorization
The events come in one object, or one a line (JSON Lines). No time is signed; an event has an
id, and counts once. A soft bounce and a suspension are retried. The text of a `reject`
names the reason of a suppression. Of a received mail Mailtrap posts only a number, so it has to be
read there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "Mailtrap", webhook="MailtrapWebhookSource")


SECRET_SETTING = "webhook_secret"


_KINDS = {
    "unsubscribe": VendorEventKind.OPTED_OUT,
    "spam": VendorEventKind.COMPLAINED,
    "bounce": VendorEventKind.BOUNCED,
}


_IGNORED = {"delivery", "open", "click", "soft bounce", "soft_bounce", "suspension"}


_ACCOUNT_EVENT_PREFIX = "activity_log."


_SUPPRESSION_LIST = "suppression list"


_SUPPRESSION_KINDS = (
    ("unsubscri", VendorEventKind.OPTED_OUT),
    ("spam", VendorEventKind.COMPLAINED),
    ("complain", VendorEventKind.COMPLAINED),
    ("bounce", VendorEventKind.BOUNCED),
)
"""Words in the reason why somebody is suppressed there."""


_PERMANENT_CATEGORIES: Mapping[str, bool] = {
    "hard": True,
    "invalid_recipient": True,
    "transientfail": False,
    "greylisting": False,
    "badsender": False,
    "block": False,
    "content": False,
    "spam": False,
    "dnsfail": False,
}
"""Categories of bounces, in lower case -> whether Mailtrap suppresses for them."""


class MailtrapWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the signing secret of the webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})
    requires_200: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        webhook.verify_hmac(secret, request.body, request.require_header("mailtrap-signature"))

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(_iter_events(body), _read_event)


def _iter_events(body: bytes) -> Iterator[webhook.JsonObject]:
    for row in _parse_objects(body):
        yield from row.require_rows("events") if "events" in row else [row]


def _parse_objects(body: bytes) -> list[webhook.JsonObject]:
    try:
        return webhook.parse_json_objects(body)
    except InvalidInput:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) <= 1:
            raise
        return [row for line in lines for row in webhook.parse_json_objects(line)]


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    event, reason = row.text("event"), row.text("reason").casefold()
    if not event:
        raise InvalidInput("the body is not what the vendor promises")
    if event in _IGNORED or event.startswith(_ACCOUNT_EVENT_PREFIX):
        return None
    kind = _KINDS.get(event)
    if event == "reject":
        if _SUPPRESSION_LIST not in reason:
            return None  # the sender's own: a domain that is not verified, or a policy
        kind = next((kind for word, kind in _SUPPRESSION_KINDS if word in reason), None)
    if kind is None:
        return webhook.unknown_event(event)
    is_bounce = kind is VendorEventKind.BOUNCED
    return VendorEvent(
        kind,
        row.text("email"),
        occurred_at=row.epoch("timestamp"),
        id=row.text("event_id"),
        by_person=not is_bounce and event != "reject",
        bounce=_bounce(event, row) if is_bounce else None,
    )


def _bounce(event: str, row: webhook.JsonObject) -> Bounce:
    if event == "reject":  # it was for good, or Mailtrap would not have noted it
        return Bounce(diagnostic=row.text("reason"), permanent=True, bad_address=True)
    reply = row.text("response")
    category = row.text("bounce_category").casefold()
    return Bounce(
        webhook.find_status_code(reply),
        row.text("response_code"),
        reply,
        permanent=_PERMANENT_CATEGORIES.get(category),
        bad_address=category == "invalid_recipient",
    )


SPEC = webhook_only_spec(
    "mailtrap",
    MailtrapWebhookSource,
    "https://docs.mailtrap.io/email-api-smtp/advanced/webhooks",
    "https://docs.mailtrap.io/email-api-smtp/deliverability/bounce-categorization",
    erase_note="Look the address up under Contacts and delete it, or by DELETE "
    "/api/accounts/{account}/contacts/{email}; leave its suppression. Logs of mails go by "
    "themselves when the plan's days are over.",
)
