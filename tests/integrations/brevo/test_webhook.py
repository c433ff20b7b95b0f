from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import ALL_SMS, VendorEvent, VendorEventKind
from preference_center.integrations.brevo.webhook import BrevoWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW


def parse(*events: dict[str, Any]) -> list[VendorEvent]:
    more = {"id": 7, "email": ANNA, "date": "2026-11-25 13:00:00", "ts": AT + 3600}
    return list(BrevoWebhookSource().parse(json.dumps([more | event for event in events]).encode()))


@pytest.mark.parametrize(
    "event, kind",
    [
        ("unsubscribe", VendorEventKind.OPTED_OUT),
        ("unsubscribed", VendorEventKind.OPTED_OUT),
        ("spam", VendorEventKind.COMPLAINED),
        ("complaint", VendorEventKind.COMPLAINED),
        ("contact_updated", VendorEventKind.CONTACT_CHANGED),
        ("delivered", None),
        ("unique_opened", None),
        ("contact_deleted", None),
        ("blocked", None),
    ],
)
def test_what_its_events_mean(event: str, kind: VendorEventKind | None) -> None:
    found = parse({"event": event, "ts_event": AT, "list_id": [3, 42], "camp_id": 8})
    by_person = kind is not VendorEventKind.CONTACT_CHANGED
    assert found == (
        [VendorEvent(kind, ANNA, occurred_at=NOW, by_person=by_person)] if kind else []
    )


@pytest.mark.parametrize(
    "event, permanent",
    [
        ("hard_bounce", True),
        ("hard_bounced", True),
        ("invalid_email", True),
        ("soft_bounce", False),
        ("soft_bounced", False),
    ],
)
def test_a_bounce_is_reported_with_its_reason(event: str, *, permanent: bool) -> None:
    text = "550 5.1.1 User unknown"
    (vendor_event,) = parse({"event": event, "reason": text, "ts_epoch": AT * 1000})
    is_bad = event == "invalid_email"
    bounce = Bounce(diagnostic=text, permanent=permanent, bad_address=is_bad)
    assert vendor_event == VendorEvent(
        VendorEventKind.BOUNCED, ANNA, occurred_at=NOW, bounce=bounce
    )


def test_who_joins_lists_is_reported_for_each() -> None:
    found = parse({"event": "list_addition", "list_id": [3, 42]})
    assert found == [
        VendorEvent(VendorEventKind.RESUBSCRIBED, ANNA, target) for target in ("3", "42")
    ]


def test_several_at_once_are_each_reported() -> None:
    found = parse({"event": "unsubscribed", "ts_epoch": AT}, {"event": "new"}, {"event": "click"})
    assert [(vendor_event.kind, vendor_event.occurred_at) for vendor_event in found] == [
        (VendorEventKind.OPTED_OUT, NOW),
        (VendorEventKind.UNKNOWN_TYPE, None),
    ]


def test_an_opt_out_of_nobody_is_kept_for_review() -> None:
    found = BrevoWebhookSource().parse(b'[{"event": "unsubscribe"}, {"event": "contact_updated"}]')
    assert found == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", "opted_out without address")]


@pytest.mark.parametrize(
    "wrap",
    [lambda rows: rows, lambda rows: {"events": rows}, lambda rows: [{"items": rows}]],
    ids=["array", "object", "array-of-object"],
)
def test_a_batch_is_read_however_it_is_wrapped(wrap: Callable[[Any], Any]) -> None:
    rows = [{"event": "unsubscribed", "email": f"p{n}@example.com", "ts": AT} for n in range(500)]
    found = BrevoWebhookSource().parse(json.dumps(wrap(rows)).encode())
    assert [vendor_event.address for vendor_event in found] == [row["email"] for row in rows]


@pytest.mark.parametrize(
    "status, kind",
    [
        ("unsubscribe", VendorEventKind.OPTED_OUT),
        ("subscribe", VendorEventKind.RESUBSCRIBED),
        ("delivered", None),
        ("replied", None),
    ],
)
def test_what_its_events_about_text_messages_mean(
    status: str, kind: VendorEventKind | None
) -> None:
    row = {"id": 7, "to": "393331234567", "msg_status": status, "type": "marketing", "ts_event": AT}
    found = BrevoWebhookSource().parse(json.dumps(row).encode())
    assert found == (
        [VendorEvent(kind, "+393331234567", ALL_SMS, NOW, channel=Channel.SMS)] if kind else []
    )


def test_a_type_of_text_message_that_is_new_is_unknown() -> None:
    found = BrevoWebhookSource().parse(b'{"to": "393331234567", "msg_status": "opted"}')
    assert found == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", "SMS opted")]
