from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import ALL_SMS, VendorEvent, VendorEventKind
from preference_center.integrations.klaviyo.webhook import KlaviyoWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW

PREFIX = "event:klaviyo."


def event(name: str, **properties: str) -> dict[str, Any]:
    return {
        "external_id": "73WCCK7JKtE",
        "topic": PREFIX + name,
        "payload": {
            "data": {
                "type": "event",
                "id": "73WCCK7JKtE",
                "attributes": {"timestamp": AT, "event_properties": properties},
                "relationships": {"profile": {"data": {"type": "profile", "id": "01KP"}}},
            }
        },
    }


def parse(*events: dict[str, Any]) -> list[VendorEvent]:
    body = {"data": list(events), "meta": {"version": "2026-07-15"}}
    return list(KlaviyoWebhookSource().parse(json.dumps(body).encode()))


@pytest.mark.parametrize(
    "name, kind",
    [
        ("unsubscribed_from_email_marketing", VendorEventKind.OPTED_OUT),
        ("manually_suppressed_from_email_marketing", VendorEventKind.OPTED_OUT),
        ("marked_email_as_spam", VendorEventKind.COMPLAINED),
        ("subscribed_to_email_marketing", VendorEventKind.RESUBSCRIBED),
        ("manually_unsuppressed_from_email_marketing", VendorEventKind.RESUBSCRIBED),
        ("subscribed_to_list", VendorEventKind.CONTACT_CHANGED),
        ("updated_email_preferences", VendorEventKind.CONTACT_CHANGED),
        ("opened_email", None),
        ("dropped_email", None),
    ],
)
def test_each_event_type(name: str, kind: VendorEventKind | None) -> None:
    by_person = kind is VendorEventKind.COMPLAINED
    reported = VendorEvent(
        kind or VendorEventKind.CONTACT_CHANGED,
        ANNA,
        None,
        NOW,
        "73WCCK7JKtE",
        by_person,
        contact_id="01KP",
    )
    assert parse(event(name, email_address=ANNA)) == ([reported] if kind else [])


@pytest.mark.parametrize("kind, permanent", [("Hard", True), ("Soft", False), ("", None)])
def test_a_bounce_has_klaviyos_kind(kind: str, *, permanent: bool | None) -> None:
    (reported,) = parse(event("bounced_email", email_address=ANNA, **{"Bounce Type": kind}))
    assert (reported.kind, reported.bounce) == (
        VendorEventKind.BOUNCED,
        Bounce(permanent=permanent),
    )


def test_the_address_is_looked_for_where_it_may_stand() -> None:
    name = "unsubscribed_from_email_marketing"
    included = event(name)
    included["payload"]["included"] = [{"type": "profile", "attributes": {"email": ANNA}}]
    mailed = event(name, **{"Recipient Email Address": ANNA})
    nobody = event(name)
    del nobody["payload"]["data"]["relationships"]
    assert [
        (reported.kind, reported.address, reported.contact_id)
        for reported in parse(included, mailed, event(name), nobody)
    ] == [
        (VendorEventKind.OPTED_OUT, ANNA, "01KP"),
        (VendorEventKind.OPTED_OUT, ANNA, "01KP"),
        (VendorEventKind.OPTED_OUT, "", "01KP"),
        (VendorEventKind.UNKNOWN_TYPE, "", ""),
    ]


def test_new_event_types_are_reported_as_unknown() -> None:
    found = parse(event("subscribed_to_whatsapp"), event("placed_order"))
    assert [reported.target for reported in found] == [
        f"{PREFIX}subscribed_to_whatsapp",
        f"{PREFIX}placed_order",
    ]


@pytest.mark.parametrize(
    "name, kind",
    [
        ("unsubscribed_from_sms_marketing", VendorEventKind.OPTED_OUT),
        ("subscribed_to_sms_marketing", VendorEventKind.RESUBSCRIBED),
    ],
)
def test_sms_consent_is_about_the_profiles_number(name: str, kind: VendorEventKind) -> None:
    named = event(name, email_address=ANNA)
    number = {"email": ANNA, "phone_number": "+393331234567"}
    included = event(name)
    included["payload"]["included"] = [{"type": "profile", "attributes": number}]
    both: dict[str, Any] = {"occurred_at": NOW, "id": "73WCCK7JKtE", "contact_id": "01KP"}
    assert parse(named, included) == [
        VendorEvent(kind, "", ALL_SMS, channel=Channel.SMS, **both),
        VendorEvent(kind, "+393331234567", ALL_SMS, channel=Channel.SMS, **both),
    ]


@pytest.mark.parametrize("body", [b"{}", b'{"data": [1]}', b'[{"data": []}, {}]'])
def test_what_is_not_promised_is_not_read(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        KlaviyoWebhookSource().parse(body)
