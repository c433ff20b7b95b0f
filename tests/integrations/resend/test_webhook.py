from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.resend.webhook import ResendWebhookSource
from tests.integrations.base.posts import ANNA, NOW


def parse(name: str, **data: Any) -> list[VendorEvent]:
    row = {"type": name, "created_at": "2026-11-25T12:00:00.000Z", "data": data}
    return list(ResendWebhookSource().parse(json.dumps(row).encode()))


@pytest.mark.parametrize(
    "kind, permanent", [("Permanent", True), ("Transient", False), ("Undetermined", None)]
)
def test_a_bounce_has_the_servers_words(kind: str, *, permanent: bool | None) -> None:
    reported = {
        "type": kind,
        "subType": "General",
        "message": "It bounced.",
        "diagnosticCode": ["550"],
    }
    (event,) = parse("email.bounced", to=[ANNA], bounce=reported)
    bounce = Bounce(diagnostic="It bounced. 550", permanent=permanent)
    assert event == VendorEvent(VendorEventKind.BOUNCED, ANNA, occurred_at=NOW, bounce=bounce)


@pytest.mark.parametrize(
    "name, data, expected",
    [
        (
            "email.complained",
            {"to": [ANNA]},
            VendorEvent(VendorEventKind.COMPLAINED, ANNA, occurred_at=NOW, by_person=True),
        ),
        (
            "contact.updated",
            {"email": ANNA, "unsubscribed": True},
            VendorEvent(
                VendorEventKind.OPTED_OUT, ANNA, occurred_at=NOW, unsubscribed_from_all=True
            ),
        ),
        (
            "contact.created",
            {"email": ANNA, "unsubscribed": False},
            VendorEvent(
                VendorEventKind.CONTACT_CHANGED, ANNA, occurred_at=NOW, unsubscribed_from_all=False
            ),
        ),
        (
            "contact.updated",
            {"email": ANNA},
            VendorEvent(VendorEventKind.CONTACT_CHANGED, ANNA, occurred_at=NOW),
        ),
        ("contact.deleted", {"email": ANNA}, None),
        ("email.delivered", {"to": [ANNA]}, None),
    ],
)
def test_what_its_events_mean(
    name: str, data: dict[str, Any], expected: VendorEvent | None
) -> None:
    assert parse(name, **data) == ([expected] if expected else [])


def test_topics_are_reported_one_by_one() -> None:
    topics = [
        {"id": "b6d24b8e", "subscription": "opt_in"},
        {"id": "07d84122", "subscription": "opt_out"},
        {"id": "3f1c5a20", "subscription": "maybe"},
        "07d84122",
    ]
    name = "contact.topics.updated"
    assert parse(name, email=ANNA, topics=topics) == [
        VendorEvent(VendorEventKind.RESUBSCRIBED, ANNA, "b6d24b8e", NOW),
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "07d84122", NOW),
        VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", name),
        VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", name),
    ]


@pytest.mark.parametrize(
    "name, data, target",
    [
        (
            "email.bounced",
            {"to": [ANNA, "bo@example.com"]},
            "email.bounced of several recipients",
        ),
        ("email.complained", {}, "complained without address"),
        ("suppression.created", {}, "suppression.created"),
    ],
)
def test_what_is_ambiguous_is_kept_for_review(name: str, data: dict[str, Any], target: str) -> None:
    assert parse(name, **data) == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", target)]
