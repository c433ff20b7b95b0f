from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.iterable.webhook import IterableWebhookSource
from tests.integrations.base.posts import ANNA, NOW

OUT, IN = VendorEventKind.OPTED_OUT, VendorEventKind.RESUBSCRIBED


def parse(name: str, email: str = ANNA, **fields: Any) -> list[VendorEvent]:
    more = {"createdAt": "2026-11-25 12:00:00 +00:00", "email": email, "campaignId": 7}
    row = {"email": email, "eventName": name, "dataFields": more | fields}
    return list(IterableWebhookSource().parse(json.dumps(row).encode()))


@pytest.mark.parametrize(
    "name, kind, source, by_person",
    [
        ("emailUnSubscribe", OUT, "EmailLink", True),
        ("emailUnSubscribe", OUT, "API", False),
        ("emailUnSubscribe", OUT, "WebApp", False),
        ("emailSubscribe", IN, "", False),
    ],
)
def test_each_target_that_it_names_is_an_event(
    name: str, kind: VendorEventKind, source: str, *, by_person: bool
) -> None:
    targets: dict[str, Any] = {"channelIds": [27447], "messageTypeIds": [1, 2], "emailListIds": []}
    found = parse(name, unsubSource=source, **targets)
    assert found == [
        VendorEvent(kind, ANNA, target, NOW, by_person=by_person)
        for target in ("channel:27447", "type:1", "type:2")
    ]


def test_what_names_nothing_is_about_all() -> None:
    (event,) = parse("emailUnSubscribe", unsubSource="EmailLink", channelIds=[])
    assert event.target is None


@pytest.mark.parametrize(
    "name, fields",
    [("emailComplaint", {}), ("emailUnSubscribe", {"unsubSource": "Complaint"})],
)
def test_a_complaint_is_no_opt_out_of_a_channel(name: str, fields: dict[str, str]) -> None:
    assert parse(name, channelIds=[27447], **fields) == [
        VendorEvent(VendorEventKind.COMPLAINED, ANNA, occurred_at=NOW, by_person=True)
    ]


@pytest.mark.parametrize(
    "name, fields, permanent",
    [
        ("emailBounce", {"recipientState": "HardBounce"}, True),
        ("emailBounce", {"recipientState": "SoftBounce"}, False),
        ("emailBounce", {}, None),
        ("emailUnSubscribe", {"unsubSource": "HardBounce"}, True),
    ],
)
def test_nor_is_a_bounce(name: str, fields: dict[str, str], *, permanent: bool | None) -> None:
    bounce = Bounce(permanent=permanent)
    assert parse(name, **fields) == [
        VendorEvent(VendorEventKind.BOUNCED, ANNA, occurred_at=NOW, bounce=bounce)
    ]


@pytest.mark.parametrize("name", ["emailOpen", "hostedUnsubscribeClick", "smsReceived", "pushSend"])
def test_what_is_of_no_use_is_left_out(name: str) -> None:
    assert parse(name) == []


@pytest.mark.parametrize(
    "name, email, source, target",
    [
        ("emailForward", ANNA, "", "emailForward"),
        ("emailUnSubscribe", ANNA, "SMS", "emailUnSubscribe by SMS"),
        ("emailUnSubscribe", "", "EmailLink", "opted_out without address"),
        ("emailUnSubscribe", "7+x@placeholder.email", "", "opted_out without address"),
    ],
)
def test_what_is_ambiguous_is_kept_for_review(
    name: str, email: str, source: str, target: str
) -> None:
    found = parse(name, email, unsubSource=source)
    assert found == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", target)]
