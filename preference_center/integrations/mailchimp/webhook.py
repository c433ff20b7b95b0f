"""Mailchimp's audience webhooks: a form, signed or authenticated by a secret in the path.

https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/
https://mailchimp.com/developer/marketing/api/list-webhooks/
Webhooks that are now made by the API are signed, `X-Mailchimp-Signature: t=SECONDS,v1=HEX`,
with HMAC-SHA256 over `SECONDS.body`; `signing_secret` is only in the response to the call
that makes one. Older ones, whose `signing_enabled` is false, are not signed. Mailchimp retries
for 75 minutes; whether with a new time is not documented, so that age is accepted. Events have
no id: repeats are recognised by address, kind and time. Whether a person or an API call acted
is not reported either.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.vendor_events import (
    WHOLE_LIST,
    NotConfigured,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

SECRET_SETTING, SIGNING_SECRET_SETTING = "webhook_secret", "signing_secret"
AUDIENCE_SETTING = "audience"
"""The connector's setting: the destination's audience."""
MAX_AGE = timedelta(minutes=75) + webhook.DEFAULT_MAX_AGE


class MailchimpWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "long and random; the webhook's URL is /in/NAME/SECRET",
        f"{SIGNING_SECRET_SETTING}?": "instead of the secret, or better in addition: the "
        "signing_secret of a webhook that was made by the API; then only signed requests are "
        "accepted",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING, SIGNING_SECRET_SETTING})
    secret_in_path: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:
        """See WebhookSource. Rejects events of other audiences."""
        secret, signing = settings.get(SECRET_SETTING, ""), settings.get(SIGNING_SECRET_SETTING, "")
        if not secret and not signing:
            raise NotConfigured(
                f"set {SECRET_SETTING} or {SIGNING_SECRET_SETTING}: without it webhooks are "
                "rejected"
            )
        if not webhook.constant_time_equal(request.path_secret, secret):
            raise SignatureError("the secret in the path does not match")
        if signing:
            _verify_signature(request, signing, now)
        audience, about = settings.get(AUDIENCE_SETTING), _audience(request.body)
        if audience and about and audience != about:
            raise SignatureError("it is about another audience than the destination's")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        form = dict(webhook.parse_form_fields(body))
        if not form.get("type"):
            raise InvalidInput("the body is not what the vendor promises")
        kind = _kind(form)
        address = form.get("data[new_email]") or form.get("data[email]", "")
        if kind is None:
            return (
                []
                if form["type"] in {"unsubscribe", "campaign"}
                else [webhook.unknown_event(form["type"])]
            )
        if not address:
            return [webhook.unknown_event(form["type"])]
        # `fired_at` is UTC without an offset: `2009-03-26 21:35:57`.
        return [
            VendorEvent(
                kind,
                address,
                target=WHOLE_LIST,
                occurred_at=webhook.parse_iso_time(form.get("fired_at"), zone=UTC),
            )
        ]


def _verify_signature(request: WebhookRequest, secret: str, now: datetime) -> None:
    """Raise SignatureError unless one of the signatures is valid and recent."""
    parts = [
        part.strip().partition("=")
        for part in request.require_header("x-mailchimp-signature").split(",")
    ]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + request.body, "sha256").hex()
    given = [value for name, _, value in parts if name == "v1"]
    if not any([webhook.constant_time_equal(each, digest) for each in given]):  # noqa: C419 - all
        raise SignatureError("the signature does not match")
    webhook.verify_timestamp(webhook.parse_epoch(stamp), now, MAX_AGE)


def _audience(body: bytes) -> str:
    """The audience that the body is about; "" if it names none, or can't be read."""
    try:
        return dict(webhook.parse_form_fields(body)).get("data[list_id]", "")
    except InvalidInput:
        return ""  # `parse` rejects it, and it goes to the review queue


def _kind(form: Mapping[str, str]) -> VendorEventKind | None:
    reason = form.get("data[reason]")
    match form["type"]:
        case "unsubscribe" if form.get("data[action]") == "delete":
            return None  # somebody deleted the member: not an act of the person
        case "unsubscribe":
            return VendorEventKind.COMPLAINED if reason == "abuse" else VendorEventKind.OPTED_OUT
        case "cleaned":
            return VendorEventKind.COMPLAINED if reason == "abuse" else VendorEventKind.BOUNCED
        case "subscribe":
            return VendorEventKind.RESUBSCRIBED
        case "profile" | "upemail":
            return VendorEventKind.CONTACT_CHANGED
    return None
