from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.sparkpost import SparkPostWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW

OUT, SPAM, BOUNCED = VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED, VendorEventKind.BOUNCED


def parse(*events: dict[str, Any], wrapper: str = "message_event") -> list[VendorEvent]:
    rows = [{"msys": {wrapper: event}} for event in events]
    return list(SparkPostWebhookSource().parse(json.dumps(rows).encode()))


@pytest.mark.parametrize(
    "event, kind",
    [
        ({"type": "list_unsubscribe"}, OUT),
        ({"type": "link_unsubscribe"}, OUT),
        ({"type": "bounce", "bounce_class": "90"}, OUT),
        ({"type": "out_of_band", "bounce_class": "90"}, OUT),
        ({"type": "spam_complaint", "fbtype": "abuse"}, SPAM),
        ({"type": "spam_complaint"}, SPAM),
        ({"type": "spam_complaint", "fbtype": "not-spam"}, None),  # F6
        ({"type": "bounce", "bounce_class": "60"}, None),
        ({"type": "out_of_band", "bounce_class": "80"}, None),
        ({"type": "delivery"}, None),
        ({"type": "amp_initial_open"}, None),
    ],
)
def test_what_its_events_mean(event: dict[str, Any], kind: VendorEventKind | None) -> None:
    more = {"rcpt_to": ANNA, "raw_rcpt_to": "Anna@example.com", "timestamp": AT, "event_id": "7"}
    vendor_event = VendorEvent(kind or OUT, "Anna@example.com", None, NOW, "7", by_person=True)
    assert parse(event | more) == ([vendor_event] if kind else [])


@pytest.mark.parametrize(
    "bounce_class, permanent",
    [("10", True), ("30", True), ("1", None), ("20", False), ("22", False), ("51", False)],
)
def test_a_bounce_has_the_servers_words(bounce_class: str, *, permanent: bool | None) -> None:
    text = "550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown"
    event = {"type": "bounce", "bounce_class": bounce_class, "rcpt_to": ANNA, "raw_reason": text}
    (vendor_event,) = parse(event | {"error_code": "550", "timestamp": "2026-11-25T12:00:00.000Z"})
    bounce = Bounce("5.1.1", "550", text, permanent, bad_address=bounce_class == "10")
    assert vendor_event == VendorEvent(BOUNCED, ANNA, occurred_at=NOW, bounce=bounce)


def test_an_unknown_event_type_is_reported() -> None:
    found = parse({"type": "consent_given", "rcpt_to": ANNA})
    assert found == [VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", "consent_given")]
    assert [vendor_event.target for vendor_event in parse({"type": ANNA})] == ["(no name)"]  # I12


def test_it_tries_the_url_with_nothing() -> None:
    assert SparkPostWebhookSource().parse(b'[{"msys": {}}]') == []


@pytest.mark.parametrize("body", [b'[{"msys": 1}]', b'[{"msys": {"message_event": []}}]', b"[{}]"])
def test_what_is_not_promised_is_not_read(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        SparkPostWebhookSource().parse(body)
