from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.intercom.webhook import IntercomWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW

CONTACT = {"type": "contact", "id": "64d1", "email": ANNA}
TYPE = {"subscription_type": {"type": "subscription", "id": "11"}}


def parse(topic: str, **item: Any) -> list[VendorEvent]:
    row = {"topic": topic, "id": "notif_7", "created_at": AT, "data": {"item": item}}
    return list(IntercomWebhookSource().parse(json.dumps(row).encode()))


@pytest.mark.parametrize(
    "topic, item, kind, target",
    [
        ("contact.unsubscribed", {"contact": CONTACT}, VendorEventKind.OPTED_OUT, ALL_EMAIL),
        ("contact.unsubscribed", {"contact": CONTACT} | TYPE, VendorEventKind.OPTED_OUT, ALL_EMAIL),
        ("contact.subscribed", {"contact": CONTACT}, VendorEventKind.RESUBSCRIBED, ALL_EMAIL),
        ("granular.unsubscribe", {"contact": CONTACT} | TYPE, VendorEventKind.OPTED_OUT, "11"),
        ("granular.subscribe", {"contact": CONTACT} | TYPE, VendorEventKind.RESUBSCRIBED, "11"),
        ("contact.user.created", CONTACT, VendorEventKind.CONTACT_CHANGED, None),
        ("contact.email.updated", CONTACT, VendorEventKind.CONTACT_CHANGED, None),
    ],
)
def test_what_its_events_mean(
    topic: str, item: dict[str, Any], kind: VendorEventKind, target: str | None
) -> None:
    assert parse(topic, **item) == [VendorEvent(kind, ANNA, target, NOW, "notif_7")]


@pytest.mark.parametrize("fate, permanent", [("hard_bounce", True), ("soft_bounce", False)])
def test_a_bounce_is_reported_of_an_email(fate: str, *, permanent: bool) -> None:
    item = {"content_stat": {"stat_type": fate}, "contact": CONTACT}
    bounce = Bounce(permanent=permanent)
    assert parse("content_stat.email", **item) == [
        VendorEvent(VendorEventKind.BOUNCED, ANNA, None, NOW, "notif_7", bounce=bounce)
    ]


def test_a_complaint_is_the_persons_act() -> None:
    item = {"content_stat": {"stat_type": "spam_complaint"}, "contact": CONTACT}
    assert parse("content_stat.email", **item) == [
        VendorEvent(VendorEventKind.COMPLAINED, ANNA, None, NOW, "notif_7", by_person=True)
    ]


@pytest.mark.parametrize(
    "topic, item",
    [
        ("ping", {}),
        ("conversation.user.created", {}),
        ("contact.deleted", CONTACT),
        ("contact.lead.created", {"email": None}),  # nobody to suppress
        ("content_stat.series", {"contact": CONTACT}),
        ("content_stat.email", {"content_stat": {"stat_type": "open"}, "contact": CONTACT}),
    ],
)
def test_what_is_of_no_use_is_left_out(topic: str, item: dict[str, Any]) -> None:
    assert parse(topic, **item) == []


@pytest.mark.parametrize(
    "topic, item, target",
    [
        ("granular.unsubscribe", {"contact": CONTACT}, "granular.unsubscribe"),
        ("contact.unsubscribed", {"contact": {"id": "64d1"}}, "opted_out without address"),
        (
            "content_stat.email",
            {"content_stat": {"stat_type": "unsubscribe"}, "contact": CONTACT},
            "content_stat.email unsubscribe",
        ),
        ("contact.snoozed", CONTACT, "contact.snoozed"),
    ],
)
def test_what_is_ambiguous_is_kept_for_review(
    topic: str, item: dict[str, Any], target: str
) -> None:
    assert parse(topic, **item) == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", target)]
