"""This module reads Postal's webhooks and the mails that its endpoints post.

https://docs.postalserver.io/developer/webhooks
https://docs.postalserver.io/developer/http-payloads
https://github.com/postalserver/postal (lib/postal/http.rb, lib/postal/message_db/delivery.rb)
Both are JSON, signed with the installation's RSA key. The signature with SHA-256 counts; one with
SHA-1 only if there is no other, as from an older version. Postal knows neither opt-outs nor
complaints. Its webhook of a bounce does not contain the bounce's text; that of a failed delivery
has the server's reply.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_mail import compose_mail, extract_addresses
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "Postal", webhook="PostalWebhookSource")


PUBLIC_KEY_SETTING = "webhook_key"


_SHA256_HEADER, _SHA1_HEADER = "x-postal-signature-256", "x-postal-signature"


_DELIVERY_FAILED = "MessageDeliveryFailed"


_IGNORED = {
    "MessageSent", "MessageDelayed", "MessageHeld", "MessageLinkClicked", "MessageLoaded",
    "DomainDNSError", "SendLimitApproaching", "SendLimitExceeded",
}  # fmt: skip


_PEM_ARMOUR = re.compile(r"-----[A-Z ]+-----|\s")


_DKIM_KEY = re.compile(r"(?:^|;)\s*p=([^;\"]+)")


_REPLY_CODE = re.compile(r"[245]\d\d(?!\d)")


_HEADER_FIELDS = {
    "From": "from", "To": "to", "Cc": "cc", "Subject": "subject", "Date": "date",
    "Message-ID": "message_id", "In-Reply-To": "in_reply_to", "References": "references",
    "Auto-Submitted": "auto_submitted",
}  # fmt: skip
"""Header fields -> their names in the processed form of a mail."""


class PostalWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{PUBLIC_KEY_SETTING}?": "the installation's public key: what "
        "https://POSTAL/.well-known/jwks.json "
        "answers, or the key in PEM",
    }

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource. Accepts any age, since no time but the event's is signed."""
        keys = _parse_public_keys(webhook.require_setting(settings, PUBLIC_KEY_SETTING))
        is_newer = bool(request.headers.get(_SHA256_HEADER))
        given = request.require_header(_SHA256_HEADER if is_newer else _SHA1_HEADER)
        try:
            signature = base64.b64decode(given, validate=True)
        except ValueError:
            raise SignatureError("the signature does not match") from None
        digest = SHA256() if is_newer else SHA1()  # noqa: S303 - all that older versions send
        if not any(_is_valid_signature(key, signature, request.body, digest) for key in keys):
            raise SignatureError("the signature does not match")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_event)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail: what an endpoint posts as JSON, raw or processed."""
        return [_to_received_mail(row) for row in webhook.parse_json_objects(body) if _is_mail(row)]


def _is_valid_signature(
    key: rsa.RSAPublicKey, signature: bytes, message: bytes, digest: SHA1 | SHA256
) -> bool:
    try:
        key.verify(signature, message, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


@lru_cache
def _parse_public_keys(text: str) -> tuple[rsa.RSAPublicKey, ...]:
    """Those of a JSON Web Key set (RFC 7517), or one as PEM or as a DKIM record has it."""
    try:
        found = tuple(_iter_jwks_keys(json.loads(text))) if "{" in text else (_parse_pem_key(text),)
    except (ValueError, TypeError, AttributeError):
        found = ()
    if not found:
        raise NotConfigured(f"the setting {PUBLIC_KEY_SETTING} is no public RSA key")
    return found


def _iter_jwks_keys(document: dict[str, Any]) -> Iterator[rsa.RSAPublicKey]:
    for key in webhook.JsonObject(document).rows("keys") or [webhook.JsonObject(document)]:
        if key.get("kty") == "RSA":
            modulus, exponent = (
                int.from_bytes(base64.urlsafe_b64decode(key.text(name) + "=="))
                for name in ("n", "e")
            )
            yield rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _parse_pem_key(text: str) -> rsa.RSAPublicKey:
    # It takes memory in every process, and most have no Postal.
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    record = _DKIM_KEY.search(text)
    encoded = _PEM_ARMOUR.sub("", record[1] if record else text)
    key = load_der_public_key(base64.b64decode(encoded, validate=True))
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError
    return key


def _is_mail(row: webhook.JsonObject) -> bool:
    return "event" not in row and "rcpt_to" in row


def _to_received_mail(row: webhook.JsonObject) -> ReceivedMail:
    content = row.text("message").encode() or _compose_mail_parts(row)
    if row.get("base64") is True:
        content = webhook.decode_base64(content)
    return ReceivedMail(content, extract_addresses(row.text("rcpt_to")), row.text("mail_from"))


def _compose_mail_parts(row: webhook.JsonObject) -> bytes:
    headers = [(name, row.text(field)) for name, field in _HEADER_FIELDS.items() if row.text(field)]
    if row.get("bounce") is True:
        headers.append(("Auto-Submitted", "auto-replied"))
    return compose_mail(headers, row.text("plain_body"), row.text("html_body"))


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    name, payload = row.text("event"), row.nested("payload")
    if _is_mail(row):
        return None
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    if payload.nested("bounce"):
        # A mail to the envelope sender, which may be a mere warning: nobody has read it.
        return _bounce_event(row, payload.nested("original_message"), Bounce())
    if name in _IGNORED:
        return None
    if name != _DELIVERY_FAILED:
        return webhook.unknown_event(name)
    message, output = payload.nested("message"), payload.text("output")
    if message.text("direction") == "incoming" or not output:
        return None  # a mail to us; or a decision of Postal's own, not of a server
    reply = _REPLY_CODE.match(output)
    bounce = Bounce(webhook.find_status_code(output), reply[0] if reply else "", output)
    return _bounce_event(row, message, bounce)


def _bounce_event(
    row: webhook.JsonObject, message: webhook.JsonObject, bounce: Bounce
) -> VendorEvent:
    return VendorEvent(
        VendorEventKind.BOUNCED,
        message.text("to"),
        occurred_at=row.epoch("timestamp"),
        id=row.text("uuid"),
        bounce=bounce,
    )


SPEC = webhook_only_spec(
    "postal",
    PostalWebhookSource,
    "https://docs.postalserver.io/developer/webhooks",
    "https://github.com/postalserver/postal/blob/main/lib/postal/http.rb",
    notes=("It knows neither opt-outs nor complaints: only bounces come from it.",),
    erase_note="It keeps no contacts, and can't delete the messages of one address: they go after "
    "the days that the server's settings state under Retention.",
)
