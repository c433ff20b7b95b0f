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
from typing import Any, ClassVar

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    ALL_SMS,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook import (
    get_list,
    get_object,
    get_text,
    parse_epoch,
    parse_iso_time,
    parse_json_objects,
    require_header,
    require_recipient,
    require_setting,
    unknown_event,
    verify_hmac,
    verify_timestamp,
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
        secret = require_setting(settings, SECRET_SETTING)
        given, stamp = (
            require_header(request, "klaviyo-signature"),
            require_header(request, "klaviyo-timestamp"),
        )
        verify_hmac(secret, request.body + stamp.encode(), given)
        try:
            sent = parse_json_objects(request.body)[:1]
        except InvalidInput:
            raise SignatureError("the request has no timestamp") from None
        verify_timestamp(
            parse_iso_time(get_object(sent[0], "meta").get("timestamp")) if sent else None,
            now,
            MAX_AGE,
        )

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        found = parse_json_objects(body)
        rows = [row for each in found for row in get_list(each, "data")]
        if not all("data" in each for each in found) or not all(isinstance(r, dict) for r in rows):
            raise InvalidInput("the body is not what the vendor promises")
        events = (_read_event(row) for row in rows)
        return require_recipient(event for event in events if event is not None)


def _read_event(row: dict[str, Any]) -> VendorEvent | None:
    topic = get_text(row, "topic")
    name = topic.removeprefix(_PREFIX)
    if name in _IGNORED:
        return None
    kind = _KINDS.get(name) or _SMS_KINDS.get(name)
    if kind is None:
        return unknown_event(topic)
    event = get_object(row, "payload", "data")
    attributes = get_object(event, "attributes")
    return VendorEvent(
        kind=kind,
        address=_find_phone_number(row) if name in _SMS_KINDS else _find_address(row),
        target=ALL_SMS if name in _SMS_KINDS else None,
        channel=Channel.SMS if name in _SMS_KINDS else Channel.EMAIL,
        occurred_at=parse_iso_time(attributes.get("datetime"))
        or parse_epoch(attributes.get("timestamp")),
        id=get_text(row, "external_id"),
        by_person=kind is VendorEventKind.COMPLAINED,
        contact_id=get_text(get_object(event, "relationships", "profile", "data"), "id"),
        bounce=_bounce(attributes) if kind is VendorEventKind.BOUNCED else None,
    )


def _find_address(row: dict[str, Any]) -> str:
    properties = get_object(row, "payload", "data", "attributes", "event_properties")
    given = [get_text(properties, name) for name in _ADDRESS_PROPERTIES] + _included_attributes(
        row, "email"
    )
    return next(filter(None, given), "")


def _find_phone_number(row: dict[str, Any]) -> str:
    """The profile's number: the event may also have the sender's number."""
    return next(filter(None, _included_attributes(row, "phone_number")), "")


def _included_attributes(row: dict[str, Any], name: str) -> list[str]:
    included = get_list(get_object(row, "payload"), "included")
    return [
        get_text(get_object(each, "attributes"), name)
        for each in included
        if isinstance(each, dict)
    ]


def _bounce(attributes: dict[str, Any]) -> Bounce:
    """Whether Klaviyo calls the bounce permanent, if it does."""
    kind = get_text(get_object(attributes, "event_properties"), "Bounce Type").casefold()
    return Bounce(permanent={"hard": True, "soft": False}.get(kind))
