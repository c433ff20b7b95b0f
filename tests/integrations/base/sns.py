"""SNS, as far as it signs: a key of the test's, its certificate, and messages."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import NameOID

from tests.integrations.base.posts import NOW

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ses-events"
CERTIFICATE_URL = (
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem"
)
KEY = rsa.generate_private_key(65537, 2048)


def certificate(owner: str = "sns.amazonaws.com", days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(KEY, SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def message(text: object, kind: str = "Notification", version: str = "2", **more: Any) -> bytes:
    """A signed message; `more` replaces fields before it is signed."""
    row = {
        "Type": kind,
        "MessageId": "22b80b92",
        "TopicArn": TOPIC,
        "Message": text if isinstance(text, str) else json.dumps(text),
        "Timestamp": "2026-11-25T11:59:58.655Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | more
    order = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    signed = "".join(f"{name}\n{row[name]}\n" for name in [*order, "Type"] if name in row)
    algorithm = SHA1() if version == "1" else SHA256()
    signature = KEY.sign(signed.encode(), padding.PKCS1v15(), algorithm)
    return json.dumps(row | {"Signature": base64.b64encode(signature).decode()}).encode()


def subscription() -> bytes:
    """SNS asks whether its messages are welcome, and names a URL that isn't its own."""
    more = {"Token": "2336412f37", "SubscribeURL": "https://evil.example/?Action=Confirm"}
    return message("You have chosen to subscribe", "SubscriptionConfirmation", **more)
