from __future__ import annotations

import json

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.braze.webhook import BrazeWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW

OUT, IN = VendorEventKind.OPTED_OUT, VendorEventKind.RESUBSCRIBED
GLOBAL = "users.behaviors.subscription.GlobalStateChange"
GROUP = "users.behaviors.subscriptiongroup.StateChange"
PHONE = "+393331234567"


def parse(name: str, **properties: str) -> list[VendorEvent]:
    event = {
        "event_type": name,
        "id": "a1234567",
        "time": AT,
        "user": {"user_id": "0123", "external_user_id": "7"},
        "properties": {"email_address": ANNA} | properties,
    }
    return list(BrazeWebhookSource().parse(json.dumps({"events": [event]}).encode()))


def vendor_event(
    kind: VendorEventKind, target: str | None = None, *, by_person: bool = False
) -> VendorEvent:
    return VendorEvent(kind, ANNA, target, NOW, "a1234567", by_person)


@pytest.mark.parametrize(
    "name, properties, expected",
    [
        ("users.messages.email.Unsubscribe", {}, vendor_event(OUT, ALL_EMAIL, by_person=True)),
        (
            "users.messages.email.MarkAsSpam",
            {},
            vendor_event(VendorEventKind.COMPLAINED, by_person=True),
        ),
        (GLOBAL, {"subscription_status": "Unsubscribed"}, vendor_event(OUT, ALL_EMAIL)),
        (
            GLOBAL,
            {"subscription_status": "Opted In", "channel": "email"},
            vendor_event(IN, ALL_EMAIL),
        ),
        (GROUP, {"subscription_status": "Unsubscribed"}, vendor_event(OUT, "g-1")),
        (GROUP, {"subscription_status": "Subscribed"}, vendor_event(IN, "g-1")),
        (GLOBAL, {"subscription_status": "Unsubscribed", "channel": "push"}, None),
        (GROUP, {"subscription_status": "Unsubscribed", "channel": "whatsapp"}, None),
        ("users.messages.email.Open", {}, None),
        ("users.messages.pushnotification.Send", {}, None),
        ("users.canvas.Entry", {}, None),
    ],
)
def test_what_its_events_mean(
    name: str, properties: dict[str, str], expected: VendorEvent | None
) -> None:
    found = parse(name, subscription_group_id="g-1", **properties)
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize(
    "source, by_person",
    [
        ("Preference Center", True),
        ("Subscription Page", True),
        ("List-Unsubscribe", True),
        ("Inbound Message", True),
        ("REST API", False),
        ("CSV import", False),
        ("SDK", False),
        ("", False),
    ],
)
def test_whose_act_a_change_was_is_reported_by_its_source(source: str, *, by_person: bool) -> None:
    state = {"subscription_status": "Unsubscribed", "state_change_source": source}
    assert parse(GROUP, subscription_group_id="g-1", **state) == [
        vendor_event(OUT, "g-1", by_person=by_person)
    ]


def test_a_group_of_sms_is_left_by_a_number() -> None:
    state = {"subscription_status": "Unsubscribed", "channel": "sms", "channel_identifier": PHONE}
    (found,) = parse(GROUP, subscription_group_id="g-2", **state)
    assert (found.address, found.channel, found.target) == (PHONE, Channel.SMS, "g-2")


@pytest.mark.parametrize("name, permanent", [("Bounce", True), ("SoftBounce", False)])
def test_a_bounce_has_the_servers_words(name: str, *, permanent: bool) -> None:
    text = "550 5.1.1 User unknown"
    (found,) = parse(f"users.messages.email.{name}", bounce_reason=text)
    assert found.kind is VendorEventKind.BOUNCED
    assert found.bounce == Bounce(diagnostic=text, permanent=permanent)


def test_an_unknown_event_type_is_reported() -> None:
    states = ["", "Paused", "Unsubscribed"]  # the last is of no group
    assert parse("users.messages.email.Forward")[0].kind is VendorEventKind.UNKNOWN_TYPE
    for state in states:
        assert parse(GROUP, subscription_status=state) == [
            VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", GROUP)
        ]


@pytest.mark.parametrize("body", [b"{}", b'{"events": [1]}'])
def test_what_is_not_promised_is_not_read(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        BrazeWebhookSource().parse(body)
