"""Postal's webhooks, and its endpoints for mail: JSON, signed with the installation's RSA key.

https://docs.postalserver.io/developer/webhooks
https://docs.postalserver.io/developer/http-payloads
https://github.com/postalserver/postal (lib/postal/http.rb, lib/postal/message_db/delivery.rb)
The signature with SHA-256 counts; only a server of an older version, which sends none, is
believed by the one with SHA-1. Postal knows neither opt-outs nor complaints. Its webhook of a
bounce does not say what the bounce said; that of a failed delivery has the reply of the server.
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
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import (
    News,
    NewsKind,
    Post,
    ReceivedMail,
    Unready,
    Unverified,
)
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    header,
    json_objects,
    moment,
    part,
    secret_of,
    several,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.webhook_mail import addresses, composed

SETTING = "webhook_key"
_SHA256, _SHA1 = "x-postal-signature-256", "x-postal-signature"
_FAILED = "MessageDeliveryFailed"
_OF_NO_USE = {
    "MessageSent", "MessageDelayed", "MessageHeld", "MessageLinkClicked", "MessageLoaded",
    "DomainDNSError", "SendLimitApproaching", "SendLimitExceeded",
}  # fmt: skip
_ARMOUR = re.compile(r"-----[A-Z ]+-----|\s")
_RECORD = re.compile(r"(?:^|;)\s*p=([^;\"]+)")
_REPLY = re.compile(r"[245]\d\d(?!\d)")
_FIELDS = {
    "From": "from", "To": "to", "Cc": "cc", "Subject": "subject", "Date": "date",
    "Message-ID": "message_id", "In-Reply-To": "in_reply_to", "References": "references",
    "Auto-Submitted": "auto_submitted",
}  # fmt: skip
"""Header fields -> how the processed form of a mail calls them."""


class PostalNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the installation's public key: what https://POSTAL/.well-known/jwks.json "
        "answers, or the key in PEM",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource. Any age is taken, since no time is signed apart from the event's."""
        keys = _public_keys(secret_of(settings, SETTING))
        is_newer = bool(post.headers.get(_SHA256))
        given = header(post, _SHA256 if is_newer else _SHA1)
        try:
            signature = base64.b64decode(given, validate=True)
        except ValueError:
            raise Unverified("the signature does not match") from None
        digest = SHA256() if is_newer else SHA1()  # noqa: S303 - all that older versions send
        if not any(_fits(key, signature, post.body, digest) for key in keys):
            raise Unverified("the signature does not match")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) if (news := _read(row)) is not None)

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail: what an endpoint with its body as JSON posts, raw or processed."""
        return [_mail(row) for row in json_objects(body) if _is_mail(row)]


def _fits(key: rsa.RSAPublicKey, signature: bytes, signed: bytes, digest: SHA1 | SHA256) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


@lru_cache
def _public_keys(written: str) -> tuple[rsa.RSAPublicKey, ...]:
    """Those of a JSON Web Key set (RFC 7517), or one as PEM or as a DKIM record has it."""
    try:
        found = tuple(_of_jwks(json.loads(written))) if "{" in written else (_of_pem(written),)
    except (ValueError, TypeError, AttributeError):
        found = ()
    if not found:
        raise Unready(f"the setting {SETTING} is no public RSA key")
    return found


def _of_jwks(document: dict[str, Any]) -> Iterator[rsa.RSAPublicKey]:
    for key in several(document, "keys") or [document]:
        if key.get("kty") == "RSA":
            modulus, exponent = (
                int.from_bytes(base64.urlsafe_b64decode(text(key, name) + "=="))
                for name in ("n", "e")
            )
            yield rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _of_pem(written: str) -> rsa.RSAPublicKey:
    record = _RECORD.search(written)
    encoded = _ARMOUR.sub("", record[1] if record else written)
    key = load_der_public_key(base64.b64decode(encoded, validate=True))
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError
    return key


def _is_mail(row: dict[str, Any]) -> bool:
    return "event" not in row and "rcpt_to" in row


def _mail(row: dict[str, Any]) -> ReceivedMail:
    content = text(row, "message").encode() or _composed(row)
    if row.get("base64") is True:
        try:
            content = base64.b64decode(content)
        except ValueError:
            raise InvalidInput("the body is not what the vendor promises") from None
    return ReceivedMail(content, addresses(text(row, "rcpt_to")), text(row, "mail_from"))


def _composed(row: dict[str, Any]) -> bytes:
    headers = [(name, text(row, field)) for name, field in _FIELDS.items() if text(row, field)]
    if row.get("bounce") is True:
        headers.append(("Auto-Submitted", "auto-replied"))
    return composed(headers, text(row, "plain_body"), text(row, "html_body"))


def _read(row: dict[str, Any]) -> News | None:
    name, payload = text(row, "event"), part(row, "payload")
    if _is_mail(row):
        return None
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    if part(payload, "bounce"):
        # What came back to the sender's address, which may be a warning: nobody read it.
        return _bounced(row, part(payload, "original_message"), Bounce())
    if name in _OF_NO_USE:
        return None
    if name != _FAILED:
        return unknown(name)
    message, said = part(payload, "message"), text(payload, "output")
    if text(message, "direction") == "incoming" or not said:
        return None  # a mail to us; or Postal's own decision, and no server's
    reply = _REPLY.match(said)
    bounce = Bounce(status_in(said), reply[0] if reply else "", said)
    return _bounced(row, message, bounce)


def _bounced(row: dict[str, Any], message: dict[str, Any], bounce: Bounce) -> News:
    return News(
        NewsKind.BOUNCED,
        text(message, "to"),
        at=moment(row.get("timestamp")),
        id=text(row, "uuid"),
        bounce=bounce,
    )
