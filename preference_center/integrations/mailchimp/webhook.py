"""Mailchimp's audience webhooks: a form, signed, or proved by a secret in the path alone.

https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/
https://mailchimp.com/developer/marketing/api/list-webhooks/
Webhooks that are made by the API now are signed, `X-Mailchimp-Signature: t=SECONDS,v1=HEX`,
with HMAC-SHA256 over `SECONDS.body`; `signing_secret` is in the answer that makes one, and in
none later. Older ones, whose `signing_enabled` is false, are not. Mailchimp tries again for 75
minutes; whether with a new time is not said, so that much age is taken. Acts have no id: what
is posted twice is recognised by who, what and when. Whether a person or an API call did it
isn't said either.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from preference_center.domain.vendor_events import WHOLE, News, NewsKind, Post, Unready, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    form_fields,
    header,
    iso_moment,
    moment,
    same,
    unknown,
)
from preference_center.integrations.base.signatures import FRESH, ensure_recent

SETTING, SIGNING = "webhook_secret", "signing_secret"
AUDIENCE = "audience"
"""The connector's setting: which audience the destination is."""
LATE = timedelta(minutes=75) + FRESH


class MailchimpNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "long and random; the webhook's URL is /in/NAME/SECRET",
        f"{SIGNING}?": "instead of it, or better besides: the signing_secret of a webhook that "
        "was made by the API; then nothing unsigned is taken",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:
        """See NewsSource. An event of another audience is not for this destination."""
        secret, signing = settings.get(SETTING, ""), settings.get(SIGNING, "")
        if not secret and not signing:
            raise Unready(f"set {SETTING} or {SIGNING}: without it no webhook is believed")
        if not same(post.secret, secret):
            raise Unverified("the secret in the path does not match")
        if signing:
            _ensure_signed(post, signing, now)
        audience, about = settings.get(AUDIENCE), _audience(post.body)
        if audience and about and audience != about:
            raise Unverified("it is about another audience than the destination's")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        form = dict(form_fields(body))
        if not form.get("type"):
            raise InvalidInput("the body is not what the vendor promises")
        kind = _kind(form)
        address = form.get("data[new_email]") or form.get("data[email]", "")
        if kind is None:
            return [] if form["type"] in {"unsubscribe", "campaign"} else [unknown(form["type"])]
        if not address:
            return [unknown(form["type"])]
        # `fired_at` is UTC and says no zone: `2009-03-26 21:35:57`.
        return [News(kind, address, thing=WHOLE, at=iso_moment(form.get("fired_at"), zone=UTC))]


def _ensure_signed(post: Post, secret: str, now: datetime) -> None:
    """Raise Unverified unless one of the signatures is right, and recent."""
    parts = [
        part.strip().partition("=") for part in header(post, "x-mailchimp-signature").split(",")
    ]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + post.body, "sha256").hex()
    if not any([same(value, digest) for name, _, value in parts if name == "v1"]):  # noqa: C419 - all
        raise Unverified("the signature does not match")
    ensure_recent(moment(stamp), now, LATE)


def _audience(body: bytes) -> str:
    """Which audience the body is about; "" if it doesn't say, or can't be read."""
    try:
        return dict(form_fields(body)).get("data[list_id]", "")
    except InvalidInput:
        return ""  # kept, and shown to a person


def _kind(form: Mapping[str, str]) -> NewsKind | None:
    reason = form.get("data[reason]")
    match form["type"]:
        case "unsubscribe" if form.get("data[action]") == "delete":
            return None  # somebody tidied the audience: no word of the person
        case "unsubscribe":
            return NewsKind.COMPLAINED if reason == "abuse" else NewsKind.OPTED_OUT
        case "cleaned":
            return NewsKind.COMPLAINED if reason == "abuse" else NewsKind.BOUNCED
        case "subscribe":
            return NewsKind.RESUBSCRIBED
        case "profile" | "upemail":
            return NewsKind.SEEN
    return None
