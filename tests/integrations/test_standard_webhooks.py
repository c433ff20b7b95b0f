from __future__ import annotations

import json
import re
from typing import Any

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import (
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
)
from preference_center.integrations.standard_webhooks import StandardWebhookSource
from tests.docs.reading import ROOT
from tests.integrations.base.posts import ANNA, NOW

ID = "9f86d081 opted_out acme.news"
STAMP = "2026-11-25T13:00:00+01:00"


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": STAMP, "data": {"address": ANNA} | data}


def parse(*events: dict[str, Any]) -> list[VendorEvent]:
    return list(StandardWebhookSource().parse(json.dumps(events).encode()))


def test_every_event_type_is_read() -> None:
    phone = "+393331234567"
    reported = {"channel": "sms", "topic": "acme.texts", "id": "7", "by_person": True}
    assert parse(event("opted_out", **reported | {"address": phone})) == [
        VendorEvent(
            VendorEventKind.OPTED_OUT,
            phone,
            "acme.texts",
            NOW,
            "7 opted_out acme.texts",
            by_person=True,
            channel=Channel.SMS,
        )
    ]


@pytest.mark.parametrize(
    "kind", [kind for kind in VendorEventKind if kind is not VendorEventKind.UNKNOWN_TYPE]
)
def test_address_and_type_are_enough(kind: VendorEventKind) -> None:
    bounce = Bounce() if kind is VendorEventKind.BOUNCED else None
    body = json.dumps({"type": kind, "data": {"address": ANNA}}).encode()
    assert StandardWebhookSource().parse(body) == [VendorEvent(kind, ANNA, bounce=bounce)]


def test_what_has_no_id_has_that_of_its_message_but_for_bounces() -> None:
    body = json.dumps([event("opted_out"), event("bounced"), event("opted_out", id="7")]).encode()
    source, headers = StandardWebhookSource(), {"webhook-id": "msg_1"}
    stored = source.stored_body(WebhookRequest("POST", "/in/crm", "", headers, body))
    assert [each.id for each in source.parse(stored)] == ["msg_1 0", "", "7 opted_out"]


def test_a_bounce_has_the_servers_words() -> None:
    reported = {"status": "5.1.1", "reply": "550", "text": "User unknown", "permanent": True}
    (vendor_event,) = parse(event("bounced", bounce=reported))
    assert vendor_event.bounce == Bounce("5.1.1", "550", "User unknown", permanent=True)
    (vague,) = parse(event("bounced", bounce={"permanent": "yes"}))
    assert vague.bounce == Bounce()


def test_what_is_ambiguous_is_kept_for_review() -> None:
    found = parse(event("unknown"), event("clicked"), event("opted_out", address=""))
    assert [vendor_event.target for vendor_event in found] == [
        "unknown",
        "clicked",
        "opted_out without address",
    ]


def test_the_documented_example_is_read() -> None:
    page = (ROOT / "docs/inbound.md").read_text()
    (example,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert StandardWebhookSource().parse(example.encode()) == [
        VendorEvent(
            VendorEventKind.OPTED_OUT, "jo@example.com", "acme.news", NOW, ID, by_person=True
        )
    ]


def test_a_channel_that_is_none_costs_no_other_report_and_is_not_quoted() -> None:  # I12
    strange, known = parse(event("opted_out", channel=ANNA), event("opted_out"))
    assert (strange.kind, strange.target) == (
        VendorEventKind.UNKNOWN_TYPE,
        "opted_out by an unknown channel",
    )
    assert known.kind is VendorEventKind.OPTED_OUT
