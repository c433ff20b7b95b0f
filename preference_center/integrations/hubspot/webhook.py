"""HubSpot's webhooks, signed by the app (v3). They name contacts by id, not by address.

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
https://developers.hubspot.com/docs/apps/developer-platform/add-features/configure-webhooks
An opt-out shows as a change of the contact's properties: `hs_email_optout` for all mail,
`hs_email_optout_ID` for one subscription type. A person or an API call may have made it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING = "client_secret"
MAX_AGE = timedelta(minutes=5)
"""HubSpot's documentation asks to reject older requests; it signs each attempt."""
_SIGNATURE = "x-hubspot-signature-v3"
_TIMESTAMP = "x-hubspot-request-timestamp"
_CONTACT_TYPE_ID = "0-1"
_MILLISECONDS = 1000
_OPT_OUT_PROPERTY = "hs_email_optout"
_BOUNCE_PROPERTY = "hs_email_hard_bounce_reason_enum"
_IGNORED = {"deletion", "privacyDeletion", "associationChange"}
_CONTACT_CHANGES = {"creation", "restore", "merge"}


class HubSpotWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "client secret of the app whose webhook calls /in/NAME",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource."""
        secret = webhook.require_setting(settings, SECRET_SETTING)
        given, stamp = request.require_header(_SIGNATURE), request.require_header(_TIMESTAMP)
        signed = request.method.encode() + request.url.encode() + request.body + stamp.encode()
        digest = hmac.digest(secret.encode(), signed, hashlib.sha256)
        if not webhook.constant_time_equal(given, base64.b64encode(digest).decode()):
            raise SignatureError("the signature does not match")
        at = webhook.parse_epoch(stamp, per_second=_MILLISECONDS)
        if at is None or abs(now - at) > MAX_AGE:
            raise SignatureError("the request is too old")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return [*filter(None, map(_read_event, webhook.parse_json_objects(body)))]


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    subject, _, change = row.text("subscriptionType").partition(".")
    if subject != "contact" and (subject, row.text("objectTypeId")) != (
        "object",
        _CONTACT_TYPE_ID,
    ):
        return None
    # `eventId` alone is not guaranteed to be unique.
    event_id = f"{row.text('subscriptionId')} {row.text('eventId')} {row.text('occurredAt')}"
    at = row.epoch("occurredAt", per_second=_MILLISECONDS)
    kind = VendorEventKind.CONTACT_CHANGED
    changed = VendorEvent(kind, "", None, at, event_id, contact_id=row.text("objectId"))
    if change in _CONTACT_CHANGES:
        return changed
    if change != "propertyChange":
        return None if change in _IGNORED else webhook.unknown_event(f"contact.{change}")
    name, value = row.text("propertyName"), row.text("propertyValue")
    if name == "email":
        return replace(changed, address=value)
    if name == _BOUNCE_PROPERTY and value == "UNKNOWN_USER":
        return replace(changed, kind=VendorEventKind.BOUNCED)
    if name == _OPT_OUT_PROPERTY or name.startswith(f"{_OPT_OUT_PROPERTY}_"):
        is_off = value.casefold() == "true"
        kind = VendorEventKind.OPTED_OUT if is_off else VendorEventKind.RESUBSCRIBED
        type_id = name.removeprefix(_OPT_OUT_PROPERTY).removeprefix("_") or None
        return replace(changed, kind=kind, target=type_id)
    return None
