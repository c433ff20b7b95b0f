from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.customerio.webhook import CustomerIoWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW

OUT, IN = VendorEventKind.OPTED_OUT, VendorEventKind.RESUBSCRIBED


def parse(about: str, metric: str, **data: Any) -> list[VendorEvent]:
    row = {"object_type": about, "metric": metric, "event_id": "01E4", "timestamp": AT}
    return list(CustomerIoWebhookSource().parse(json.dumps(row | {"data": data}).encode()))


@pytest.mark.parametrize(
    "about, metric, kind, by_person, all_off",
    [
        ("customer", "unsubscribed", OUT, False, True),
        ("email", "unsubscribed", OUT, True, None),
        ("email", "spammed", VendorEventKind.COMPLAINED, True, None),
        ("customer", "subscribed", IN, False, False),
        ("email", "delivered", None, False, None),
        ("push", "dropped", None, False, None),
        ("email", "undeliverable", None, False, None),
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        {"recipient": ANNA},
        {"email_address": ANNA},
        {"identifiers": {"id": "7", "email": ANNA}},
    ],
)
def test_what_its_events_mean(
    about: str,
    metric: str,
    kind: VendorEventKind | None,
    data: dict[str, Any],
    *,
    by_person: bool,
    all_off: bool | None,
) -> None:
    event = VendorEvent(
        kind or OUT, ANNA, None, NOW, "01E4", by_person, unsubscribed_from_all=all_off
    )
    assert parse(about, metric, **data) == ([event] if kind else [])


def test_a_bounce_has_the_servers_words() -> None:
    text = "550 5.5.0 Requested action not taken: mailbox unavailable"
    (event,) = parse("email", "bounced", recipient=ANNA, failure_message=text)
    assert event == VendorEvent(
        VendorEventKind.BOUNCED, ANNA, None, NOW, "01E4", bounce=Bounce(diagnostic=text)
    )


def test_preferences_are_reported_topic_by_topic() -> None:
    content = {
        "topics": {"topic_7": False, "topic_8": True, "topic_9": None},
        "channels": {"email": False, "sms": False, "push": True, "in_app": None},
    }
    name = "cio_subscription_preferences_changed"
    found = parse("customer", name, email_address=ANNA, content=json.dumps(content))
    assert [(event.kind, event.target, event.id) for event in found] == [
        (OUT, "topic_7", "01E4 topic_7"),
        (IN, "topic_8", "01E4 topic_8"),
        (OUT, None, "01E4 email"),
        (VendorEventKind.UNKNOWN_TYPE, "preferences of sms", ""),
    ]


@pytest.mark.parametrize("content", [None, "", "[]", "{", "[{}, {}]", "[" * 9_999])
def test_preferences_that_cannot_be_read_are_kept_for_a_person(content: str | None) -> None:
    (event,) = parse("customer", "cio_subscription_preferences_changed", content=content)
    assert event == VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", "preferences without content")


def test_an_opt_out_of_nobody_and_a_new_type_are_unknown() -> None:
    found = [*parse("customer", "unsubscribed"), *parse("sms", "unsubscribed")]
    assert [event.target for event in found] == ["opted_out without address", "sms unsubscribed"]
