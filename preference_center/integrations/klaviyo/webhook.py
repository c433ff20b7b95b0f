"""Klaviyo's system webhooks, signed with HMAC-SHA256 over the body and a header.

https://developers.klaviyo.com/en/docs/working_with_system_webhooks
https://developers.klaviyo.com/en/reference/get_event
The time in the body is checked, since the header's has been seen in another time zone. How
long Klaviyo retries is not published, nor which properties an event has: the address is
looked for in the properties, in the included resources, and last by the profile's id.
Whether a person or an API call acted is not reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    ALL_SMS,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "webhook_secret"
MAX_AGE = timedelta(days=1)
"""The greatest age of a request, since it may be a retry."""
_PREFIX = "event:klaviyo."
_KINDS = {
    "unsubscribed_from_email_marketing": VendorEventKind.OPTED_OUT,
    "manually_suppressed_from_email_marketing": VendorEventKind.OPTED_OUT,
    "marked_email_as_spam": VendorEventKind.COMPLAINED,
    "bounced_email": VendorEventKind.BOUNCED,
    "subscribed_to_email_marketing": VendorEventKind.RESUBSCRIBED,
    "manually_unsuppressed_from_email_marketing": VendorEventKind.RESUBSCRIBED,
    "subscribed_to_list": VendorEventKind.CONTACT_CHANGED,
    "updated_email_preferences": VendorEventKind.CONTACT_CHANGED,  # which ones, the connector reads
}
_SMS_KINDS = {
    "unsubscribed_from_sms_marketing": VendorEventKind.OPTED_OUT,
    "subscribed_to_sms_marketing": VendorEventKind.RESUBSCRIBED,
}
_IGNORED = {
    "received_email", "opened_email", "clicked_email", "dropped_email", "sent_sms",
    "received_sms", "clicked_sms", "failed_to_deliver_sms", "received_automated_response_sms",
    "failed_to_deliver_automated_response_sms", "received_push", "opened_push",
    "bounced_push",
}  # fmt: skip
_ADDRESS_PROPERTIES = ("email_address", "Recipient Email Address")


class KlaviyoWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the secret key of the system webhook that calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        given = request.require_header("klaviyo-signature")
        stamp = request.require_header("klaviyo-timestamp")
        webhook.verify_hmac(secret, request.body + stamp.encode(), given)
        try:
            sent = webhook.parse_json_objects(request.body)[:1]
        except InvalidInput:
            raise SignatureError("the request has no timestamp") from None
        webhook.verify_timestamp(
            sent[0].nested("meta").iso_time("timestamp") if sent else None,
            now,
            MAX_AGE,
        )

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = [
            row for each in webhook.parse_json_objects(body) for row in each.require_rows("data")
        ]
        return webhook.read_events(rows, _read_event)


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    topic = row.text("topic")
    name = topic.removeprefix(_PREFIX)
    if name in _IGNORED:
        return None
    kind = _KINDS.get(name) or _SMS_KINDS.get(name)
    if kind is None:
        return webhook.unknown_event(topic)
    event = row.nested("payload", "data")
    attributes = event.nested("attributes")
    return VendorEvent(
        kind=kind,
        address=_find_phone_number(row) if name in _SMS_KINDS else _find_address(row),
        target=ALL_SMS if name in _SMS_KINDS else None,
        channel=Channel.SMS if name in _SMS_KINDS else Channel.EMAIL,
        occurred_at=attributes.iso_time("datetime") or attributes.epoch("timestamp"),
        id=row.text("external_id"),
        by_person=kind is VendorEventKind.COMPLAINED,
        contact_id=event.text("relationships", "profile", "data", "id"),
        bounce=_bounce(attributes) if kind is VendorEventKind.BOUNCED else None,
    )


def _find_address(row: webhook.JsonObject) -> str:
    properties = row.nested("payload", "data", "attributes", "event_properties")
    given = [properties.text(name) for name in _ADDRESS_PROPERTIES] + _included_attributes(
        row, "email"
    )
    return next(filter(None, given), "")


def _find_phone_number(row: webhook.JsonObject) -> str:
    """The profile's number: the event may also have the sender's number."""
    return next(filter(None, _included_attributes(row, "phone_number")), "")


def _included_attributes(row: webhook.JsonObject, name: str) -> list[str]:
    return [each.text("attributes", name) for each in row.rows("payload", "included")]


def _bounce(attributes: webhook.JsonObject) -> Bounce:
    """Whether Klaviyo calls the bounce permanent, if it does."""
    kind = attributes.text("event_properties", "Bounce Type").casefold()
    return Bounce(permanent={"hard": True, "soft": False}.get(kind))
