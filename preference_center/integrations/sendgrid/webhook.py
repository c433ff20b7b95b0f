"""SendGrid's event webhook, signed with ECDSA.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
Events are caused by recipients: adding to a group by API causes none. Any age is accepted, since
SendGrid retries for a day; an event that is posted again is the same event.

Inbound Parse posts the mails that it receives, as forms. With a security policy these are
signed in the same way, by a key of their own.
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/securing-your-parse-webhooks
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email import message_from_string
from functools import lru_cache
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook, webhook_mail
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

PUBLIC_KEY_SETTING = "webhook_key"
_FORM = "form"
_SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
_TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
_KINDS = {
    "group_unsubscribe": VendorEventKind.OPTED_OUT,
    "unsubscribe": VendorEventKind.OPTED_OUT,
    "spamreport": VendorEventKind.COMPLAINED,
    "bounce": VendorEventKind.BOUNCED,
    "group_resubscribe": VendorEventKind.RESUBSCRIBED,
}
_GROUP_EVENTS = {"group_unsubscribe", "group_resubscribe", "spamreport"}
_DROP_REASON_KINDS = {
    "Unsubscribed Address": VendorEventKind.OPTED_OUT,
    "Spam Reporting Address": VendorEventKind.COMPLAINED,
    "Bounced Address": VendorEventKind.BOUNCED,
}
"""Why SendGrid did not send, where that is what it has noted of the person before."""
_IGNORED = {"processed", "deferred", "delivered", "dropped", "open", "click"}
_INVALID_ADDRESS = "Invalid Address"
"""The class of bounces that say that there is no such mailbox; others may pass."""


class SendGridWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{PUBLIC_KEY_SETTING}?": "the verification key of the signed event webhook (Mail "
        "Settings); those "
        "of several webhooks, as of Inbound Parse, with spaces between",
    }

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource."""
        keys = [
            _parse_public_key(each)
            for each in webhook.require_setting(settings, PUBLIC_KEY_SETTING).split()
        ]
        signature = request.require_header(_SIGNATURE_HEADER)
        timestamp = request.require_header(_TIMESTAMP_HEADER)
        try:
            raw = base64.b64decode(signature, validate=True)
        except ValueError:
            raise SignatureError("the signature does not match") from None
        if not any(
            _is_valid_signature(key, raw, timestamp.encode() + request.body) for key in keys
        ):
            raise SignatureError("the signature does not match")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        rows = (row for row in webhook.parse_json_objects(body) if not row.nested(_FORM))
        return [*filter(None, map(_read_event, rows))]

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated: of a mail, which is posted as a form, the fields."""
        form = webhook_mail.parse_form(request)
        return request.body if form is None else json.dumps({_FORM: form}).encode()

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail."""
        return [
            _to_received_mail(form)
            for row in webhook.parse_json_objects(body)
            if (form := row.nested(_FORM))
        ]


@lru_cache
def _parse_public_key(encoded: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise NotConfigured(f"the setting {PUBLIC_KEY_SETTING} is no public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotConfigured(f"the setting {PUBLIC_KEY_SETTING} is no ECDSA key")
    return key


def _is_valid_signature(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _to_received_mail(form: webhook.JsonObject) -> ReceivedMail:
    """A mail as Inbound Parse posts it: whole (`email`), or in its parts."""
    envelope = _parse_json_object(form.text("envelope"))
    content = form.text("email").encode(errors="replace")
    if not content:
        headers = [*message_from_string(form.text("headers")).items()]
        headers = headers or [
            ("From", form.text("from")),
            ("Subject", form.text("subject")),
        ]
        content = webhook_mail.compose_mail(
            [(name, str(value)) for name, value in headers],
            form.text("text"),
            form.text("html"),
        )
    recipients = [str(each) for each in envelope.array("to")] or webhook_mail.extract_addresses(
        form.text("to")
    )
    return ReceivedMail(content, recipients, envelope.text("from"))


def _parse_json_object(text: str) -> webhook.JsonObject:
    try:
        (found,) = webhook.parse_json_objects(text.encode(errors="replace"))
    except (InvalidInput, ValueError):
        return webhook.JsonObject()
    return found


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    event = row.text("event")
    kind = _KINDS.get(event)
    if event == "dropped":
        kind = _DROP_REASON_KINDS.get(row.text("reason"))
    if kind is None:
        return None if event in _IGNORED else webhook.unknown_event(event)
    return VendorEvent(
        kind=kind,
        address=row.text("email"),
        # "unsubscribe" is the global list, whatever group the mail was of.
        target=row.text("asm_group_id") or None if _is_group_event(event, kind) else None,
        occurred_at=row.epoch("timestamp"),
        id=row.text("sg_event_id"),
        # An earlier suppression may be the result of an API call of ours.
        by_person=kind is not VendorEventKind.BOUNCED and event != "dropped",
        bounce=_bounce(row) if kind is VendorEventKind.BOUNCED else None,
    )


def _is_group_event(event: str, kind: VendorEventKind) -> bool:
    return event in _GROUP_EVENTS or (event == "dropped" and kind is not VendorEventKind.BOUNCED)


def _bounce(row: webhook.JsonObject) -> Bounce:
    """A block, or a bounce of another class, may be temporary: SendGrid continues to mail.

    It drops mail to addresses on its list of bounces.
    """
    if row.text("event") == "dropped":
        return Bounce(diagnostic=row.text("reason"), permanent=True, bad_address=True)
    class_ = row.text("bounce_classification")
    permanent = row.text("type") in {"", "bounce"} and class_ in {"", _INVALID_ADDRESS}
    return Bounce(
        row.text("status"),
        diagnostic=row.text("reason"),
        permanent=permanent,
        bad_address=permanent and class_ == _INVALID_ADDRESS,
    )
