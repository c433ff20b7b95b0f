"""Signatures that several vendors share: hexadecimal HMAC, timestamps, Standard Webhooks."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime, timedelta

from standardwebhooks.webhooks import Webhook as Signer

from preference_center.integrations.base.payload import (
    constant_time_equal,
    parse_epoch,
    require_header,
)
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    WebhookRequest,
)

DEFAULT_MAX_AGE = timedelta(minutes=5)
"""How far a request's time may be from ours, where each attempt has a signature of its own."""


_MIN_SECRET_BYTES = 16
"""Bytes of a secret: those that Svix shows, https://docs.svix.com, have but 18."""


def verify_hmac(secret: str, message: bytes, signature: str, algorithm: str = "sha256") -> None:
    """Raise SignatureError unless `signature` is the HMAC of `message`, in hexadecimal."""
    if not constant_time_equal(signature, hmac.digest(secret.encode(), message, algorithm).hex()):
        raise SignatureError("the signature does not match")


def verify_timestamp(
    timestamp: datetime | None, now: datetime, max_age: timedelta = DEFAULT_MAX_AGE
) -> None:
    """Raise SignatureError unless `timestamp` is within `max_age` of `now`, before or after."""
    if timestamp is None or abs(now - timestamp) > max_age:
        raise SignatureError("the request is too old")


def verify_standard_webhook(
    request: WebhookRequest, secrets: str, now: datetime, header_prefix: str = "webhook"
) -> None:
    """Raise SignatureError unless `request` is genuine and fresh by Standard Webhooks 1.0.0.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    `secrets` are one or more, with spaces between; `v1` signatures (HMAC-SHA256) count.
    Raises NotConfigured for an invalid secret. The library's own verifier reads the clock.
    """
    signers = _parse_signers(secrets)
    number, stamp = (
        require_header(request, f"{header_prefix}-id"),
        require_header(request, f"{header_prefix}-timestamp"),
    )
    given = require_header(request, f"{header_prefix}-signature").split(" ")
    at = parse_epoch(stamp) if stamp.isascii() and stamp.isdigit() else None
    verify_timestamp(at, now)
    assert at is not None
    try:
        signatures = [signer.sign(number, at, request.body.decode()) for signer in signers]
    except UnicodeDecodeError:
        raise SignatureError("the signature does not match") from None
    if not any([constant_time_equal(one, other) for one in signatures for other in given]):  # noqa: C419 - all
        raise SignatureError("the signature does not match")


def is_standard_secret(text: str, min_bytes: int = 24) -> bool:
    """Whether it is whsec_ and `min_bytes` to 64 bytes in base64; the standard requires 24."""
    prefix, _, encoded = text.partition("_")
    try:
        length = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        return False
    return prefix == "whsec" and min_bytes <= length <= 64  # noqa: PLR2004 - the standard's


def _parse_signers(secrets: str) -> list[Signer]:
    found = secrets.split()
    if not found or not all(
        is_standard_secret(each, min_bytes=_MIN_SECRET_BYTES) for each in found
    ):
        # The library accepts any text as a secret.
        raise NotConfigured("the secret must be whsec_ and 24 to 64 bytes in base64")
    return [Signer(secret) for secret in found]
