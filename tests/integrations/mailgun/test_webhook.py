from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import (
    SignatureError,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.mailgun.webhook import MAX_AGE, MailgunWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, post

SETTINGS = {"signing_key": "key-of-ours"}
TOKEN = "651869375b9df3c98fc15c4889b102119add1235c38fc92824"


def signed(
    *, key: str = "key-of-ours", stamp: str = str(AT), field: str = "signature", **event: Any
) -> bytes:
    digest = hmac.new(key.encode(), f"{stamp}{TOKEN}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": stamp, "token": TOKEN, "signature": "0" * 64, field: digest}
    return json.dumps({"signature": signature, "event-data": event}).encode()


def parse(**event: Any) -> list[VendorEvent]:
    row: dict[str, Any] = {"recipient": ANNA, "timestamp": AT + 0.25, "id": "W3X4", **event}
    return list(MailgunWebhookSource().parse(signed(**row)))


@pytest.mark.parametrize("field", ["signature", "parent-signature"])
def test_a_signature_is_good_for_its_token_once(field: str) -> None:
    assert MailgunWebhookSource().verify(post(signed(field=field)), SETTINGS, NOW) == TOKEN


@pytest.mark.parametrize(
    "body, settings",
    [
        (signed(key="another"), SETTINGS),
        (signed(stamp=str(AT - MAX_AGE.total_seconds() - 1)), SETTINGS),
        (signed(stamp="soon"), SETTINGS),
        (signed().replace(TOKEN.encode(), b"x" * 50), SETTINGS),
        (signed().replace(TOKEN.encode(), b""), SETTINGS),
        (b"{}", SETTINGS),
        (b"[]", SETTINGS),
        (b"<html>", SETTINGS),
        (signed(), {}),
    ],
)
def test_anything_else_is_nobodys(body: bytes, settings: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        MailgunWebhookSource().verify(post(body), settings, NOW)


@pytest.mark.parametrize(
    "event, kind",
    [
        ({"event": "unsubscribed", "tags": ["news"]}, VendorEventKind.OPTED_OUT),
        ({"event": "complained"}, VendorEventKind.COMPLAINED),
        ({"event": "delivered"}, None),
        ({"event": "failed", "severity": "temporary", "delivery-status": {"code": 450}}, None),
        ({"event": "failed", "severity": "permanent", "delivery-status": {"code": 612}}, None),
    ],
)
def test_what_its_events_mean(event: dict[str, Any], kind: VendorEventKind | None) -> None:
    at = NOW + timedelta(milliseconds=250)
    vendor_event = VendorEvent(
        kind or VendorEventKind.CONTACT_CHANGED, ANNA, None, at, "W3X4", by_person=True
    )
    assert parse(**event) == ([vendor_event] if kind else [])


@pytest.mark.parametrize(
    "why, kind",
    [
        ({"reason": "suppress-bounce"}, VendorEventKind.BOUNCED),
        ({"reason": "suppress-unsubscribe"}, VendorEventKind.OPTED_OUT),
        ({"reason": "suppress-complaint"}, VendorEventKind.COMPLAINED),
        ({"delivery-status": {"code": 605}}, VendorEventKind.BOUNCED),
        ({"delivery-status": {"code": 606}}, VendorEventKind.OPTED_OUT),
        ({"delivery-status": {"code": 607}}, VendorEventKind.COMPLAINED),
    ],
    ids=["bounce", "unsubscribe", "complaint", "605", "606", "607"],
)
def test_a_mail_not_sent_counts_for_what_was_noted_before(
    why: dict[str, Any], kind: VendorEventKind
) -> None:
    (vendor_event,) = parse(event="failed", severity="permanent", **why)
    assert (vendor_event.kind, vendor_event.address, vendor_event.by_person) == (kind, ANNA, False)
    bounce = Bounce(permanent=True, bad_address=True)
    assert vendor_event.bounce == (bounce if kind is VendorEventKind.BOUNCED else None)


def test_a_bounce_has_the_servers_words() -> None:
    text = "5.1.1 The email account does not exist"
    reported = {"code": 550, "message": text, "description": ""}
    (vendor_event,) = parse(event="failed", severity="permanent", **{"delivery-status": reported})
    assert (vendor_event.kind, vendor_event.by_person) == (VendorEventKind.BOUNCED, False)
    assert vendor_event.bounce == Bounce("5.1.1", "550", text, permanent=True)


def test_an_unknown_event_type_is_reported() -> None:
    assert [vendor_event.target for vendor_event in parse(event="consented")] == ["consented"]
