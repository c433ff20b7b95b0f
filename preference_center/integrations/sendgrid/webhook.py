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
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    ReceivedMail,
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
    parse_json_objects,
    require_header,
    require_setting,
    unknown_event,
)
from preference_center.integrations.base.webhook_mail import (
    compose_mail,
    extract_addresses,
    parse_form,
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
            for each in require_setting(settings, PUBLIC_KEY_SETTING).split()
        ]
        signature, timestamp = (
            require_header(request, _SIGNATURE_HEADER),
            require_header(request, _TIMESTAMP_HEADER),
        )
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
        rows = (row for row in parse_json_objects(body) if not get_object(row, _FORM))
        return [*filter(None, map(_read_event, rows))]

    def stored_body(self, request: WebhookRequest) -> bytes:
        """See HeaderDated: of a mail, which is posted as a form, the fields."""
        form = parse_form(request)
        return request.body if form is None else json.dumps({_FORM: form}).encode()

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail."""
        return [
            _to_received_mail(form)
            for row in parse_json_objects(body)
            if (form := get_object(row, _FORM))
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


def _to_received_mail(form: dict[str, Any]) -> ReceivedMail:
    """A mail as Inbound Parse posts it: whole (`email`), or in its parts."""
    envelope = _parse_json_object(get_text(form, "envelope"))
    content = get_text(form, "email").encode(errors="replace")
    if not content:
        headers = [*message_from_string(get_text(form, "headers")).items()]
        headers = headers or [
            ("From", get_text(form, "from")),
            ("Subject", get_text(form, "subject")),
        ]
        content = compose_mail(
            [(name, str(value)) for name, value in headers],
            get_text(form, "text"),
            get_text(form, "html"),
        )
    recipients = [str(each) for each in get_list(envelope, "to")] or extract_addresses(
        get_text(form, "to")
    )
    return ReceivedMail(content, recipients, get_text(envelope, "from"))


def _parse_json_object(text: str) -> dict[str, Any]:
    try:
        (found,) = parse_json_objects(text.encode(errors="replace"))
    except (InvalidInput, ValueError):
        return {}
    return found


def _read_event(row: dict[str, Any]) -> VendorEvent | None:
    event = get_text(row, "event")
    kind = _KINDS.get(event)
    if event == "dropped":
        kind = _DROP_REASON_KINDS.get(get_text(row, "reason"))
    if kind is None:
        return None if event in _IGNORED else unknown_event(event)
    return VendorEvent(
        kind=kind,
        address=get_text(row, "email"),
        # "unsubscribe" is the global list, whatever group the mail was of.
        target=get_text(row, "asm_group_id") or None if _is_group_event(event, kind) else None,
        occurred_at=parse_epoch(row.get("timestamp")),
        id=get_text(row, "sg_event_id"),
        # An earlier suppression may be the result of an API call of ours.
        by_person=kind is not VendorEventKind.BOUNCED and event != "dropped",
        bounce=_bounce(row) if kind is VendorEventKind.BOUNCED else None,
    )


def _is_group_event(event: str, kind: VendorEventKind) -> bool:
    return event in _GROUP_EVENTS or (event == "dropped" and kind is not VendorEventKind.BOUNCED)


def _bounce(row: dict[str, Any]) -> Bounce:
    """A block, or a bounce of another class, may be temporary: SendGrid continues to mail.

    It drops mail to addresses on its list of bounces.
    """
    if get_text(row, "event") == "dropped":
        return Bounce(diagnostic=get_text(row, "reason"), permanent=True, bad_address=True)
    class_ = get_text(row, "bounce_classification")
    permanent = get_text(row, "type") in {"", "bounce"} and class_ in {"", _INVALID_ADDRESS}
    return Bounce(
        get_text(row, "status"),
        diagnostic=get_text(row, "reason"),
        permanent=permanent,
        bad_address=permanent and class_ == _INVALID_ADDRESS,
    )
