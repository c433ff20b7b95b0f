"""Proofs that several vendors give alike: an HMAC in hexadecimal, a time, Standard Webhooks."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime, timedelta

from standardwebhooks.webhooks import Webhook as Signer

from preference_center.domain.vendor_events import Post, Unready, Unverified
from preference_center.integrations.base.payload import header, moment, same

FRESH = timedelta(minutes=5)
"""How far a request's time may be from ours, where each attempt is signed anew."""


_LEAST = 16
"""Bytes of a secret: those that Svix shows, https://docs.svix.com, have but 18."""


def ensure_signed(secret: str, signed: bytes, given: str, digest: str = "sha256") -> None:
    """Raise Unverified unless `given` is the HMAC of `signed`, in hexadecimal."""
    if not same(given, hmac.digest(secret.encode(), signed, digest).hex()):
        raise Unverified("the signature does not match")


def ensure_recent(at: datetime | None, now: datetime, within: timedelta = FRESH) -> None:
    """Raise Unverified unless `at` is `within` so much of now, before or after."""
    if at is None or abs(now - at) > within:
        raise Unverified("the request is too old")


def ensure_standard(post: Post, secrets: str, now: datetime, prefix: str = "webhook") -> None:
    """Raise Unverified unless Standard Webhooks 1.0.0 finds `post` genuine and fresh.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    `secrets` are one or more, with spaces between; `v1` signatures (HMAC-SHA256) count.
    Raises Unready for a secret that is none. The library's own verifier reads the clock.
    """
    signers = _signers(secrets)
    number, stamp = header(post, f"{prefix}-id"), header(post, f"{prefix}-timestamp")
    given = header(post, f"{prefix}-signature").split(" ")
    at = moment(stamp) if stamp.isascii() and stamp.isdigit() else None
    ensure_recent(at, now)
    assert at is not None
    try:
        signatures = [signer.sign(number, at, post.body.decode()) for signer in signers]
    except UnicodeDecodeError:
        raise Unverified("the signature does not match") from None
    if not any([same(one, other) for one in signatures for other in given]):  # noqa: C419 - all
        raise Unverified("the signature does not match")


def is_secret(text: str, least: int = 24) -> bool:
    """Whether it is whsec_ and `least` to 64 bytes in base64; Standard Webhooks asks for 24."""
    prefix, _, encoded = text.partition("_")
    try:
        length = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        return False
    return prefix == "whsec" and least <= length <= 64  # noqa: PLR2004 - the standard's


def _signers(secrets: str) -> list[Signer]:
    found = secrets.split()
    if not found or not all(is_secret(each, least=_LEAST) for each in found):
        # The library takes any text for one.
        raise Unready("the secret is to be whsec_ and 24 to 64 bytes in base64")
    return [Signer(secret) for secret in found]
