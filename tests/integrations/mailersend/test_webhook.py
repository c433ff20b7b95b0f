from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.mailersend.webhook import MailerSendWebhookSource
from tests.integrations.base.posts import ANNA, NOW

STAMP = "2026-11-25T12:00:00.000000Z"


def parse(name: str, **data: Any) -> list[VendorEvent]:
    row = {"type": name, "created_at": STAMP, "data": {"id": "63fd", "recipient": ANNA} | data}
    return list(MailerSendWebhookSource().parse(json.dumps(row).encode()))


@pytest.mark.parametrize(
    "name, kind",
    [
        ("activity.unsubscribed", VendorEventKind.OPTED_OUT),
        ("activity.spam_complaint", VendorEventKind.COMPLAINED),
        ("activity.spam_complaints", VendorEventKind.COMPLAINED),
        ("activity.opened_unique", None),
        ("webhook.test", None),
    ],
)
def test_what_its_events_mean(name: str, kind: VendorEventKind | None) -> None:
    event = VendorEvent(
        kind or VendorEventKind.CONTACT_CHANGED, ANNA, None, NOW, "63fd", by_person=True
    )
    assert parse(name) == ([event] if kind else [])


@pytest.mark.parametrize("name, permanent", [("hard_bounced", True), ("soft_bounced", False)])
def test_a_bounce_is_reported_with_code_and_reason(name: str, *, permanent: bool) -> None:
    meta = {"bounce_code": 550, "bounce_reason": "5.1.1 User unknown"}
    (event,) = parse(f"activity.{name}", meta=meta)
    bounce = Bounce(reply_code="550", diagnostic="5.1.1 User unknown", permanent=permanent)
    assert event == VendorEvent(VendorEventKind.BOUNCED, ANNA, None, NOW, "63fd", bounce=bounce)


def test_the_older_form_is_read_too() -> None:
    data = {
        "id": "63fd",
        "created_at": STAMP,
        "email": {"recipient": {"email": ANNA}},
        "morph": {"object": "recipient_bounce", "reason": "Host or domain name not found"},
    }
    row = {"type": "activity.hard_bounced", "data": data}
    (event,) = MailerSendWebhookSource().parse(json.dumps(row).encode())
    bounce = Bounce(diagnostic="Host or domain name not found", permanent=True)
    assert event == VendorEvent(VendorEventKind.BOUNCED, ANNA, None, NOW, "63fd", bounce=bounce)


def test_an_activity_is_known_by_its_own_name_where_the_event_has_none() -> None:
    row = {"created_at": STAMP, "data": {"id": "63fd", "type": "unsubscribed", "recipient": ANNA}}
    (event,) = MailerSendWebhookSource().parse(json.dumps(row).encode())
    assert event == parse("activity.unsubscribed")[0]


def test_what_is_ambiguous_is_kept_for_review() -> None:
    found = [*parse("activity.resubscribed"), *parse("activity.unsubscribed", recipient=None)]
    assert [event.target for event in found] == [
        "activity.resubscribed",
        "opted_out without address",
    ]
