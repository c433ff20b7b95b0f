from __future__ import annotations

import json
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.postmark.webhook import PostmarkWebhookSource
from tests.integrations.base.posts import ANNA, NOW

STAMP = "2026-11-25T12:00:00.0000000Z"
OUT, SPAM, BOUNCED = VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED, VendorEventKind.BOUNCED


def parse(record: str, **row: Any) -> list[VendorEvent]:
    return list(PostmarkWebhookSource().parse(json.dumps({"RecordType": record} | row).encode()))


def bounce(name: str, record: str = "Bounce", **row: Any) -> list[VendorEvent]:
    given = {"ID": 42, "Email": ANNA, "BouncedAt": STAMP, "MessageStream": "news", "Type": name}
    return parse(record, **given | row)


@pytest.mark.parametrize(
    "name, kind, target, by_person",
    [
        ("Unsubscribe", OUT, "news", True),
        ("ManuallyDeactivated", OUT, "news", False),
        ("SpamComplaint", SPAM, None, True),
    ],
)
def test_a_bounce_may_be_somebodys_word(
    name: str, kind: VendorEventKind, target: str | None, *, by_person: bool
) -> None:
    assert bounce(name) == [VendorEvent(kind, ANNA, target, NOW, "42", by_person)]
    assert bounce("SpamComplaint", "SpamComplaint")[0].kind is SPAM


@pytest.mark.parametrize(
    "name, permanent",
    [
        ("HardBounce", True),
        ("BadEmailAddress", True),
        ("SoftBounce", False),
        ("Transient", False),
        ("DnsError", False),
        ("Blocked", False),
        ("SpamNotification", False),
        ("Unknown", None),
    ],
)
def test_a_bounce_has_the_servers_words(name: str, *, permanent: bool | None) -> None:
    text = "smtp;550 5.1.1 The email account that you tried to reach does not exist."
    (event,) = bounce(name, Details=text)
    reported = Bounce("5.1.1", "550", text, permanent, bad_address=permanent is True)
    assert event == VendorEvent(BOUNCED, ANNA, None, NOW, "42", bounce=reported)


@pytest.mark.parametrize("name", ["AutoResponder", "Subscribe", "ChallengeVerification"])
def test_what_is_no_bounce_is_left_out(name: str) -> None:
    assert bounce(name) == []


@pytest.mark.parametrize(
    "reason, origin, kind, target, by_person",
    [
        ("ManualSuppression", "Recipient", OUT, "news", True),
        ("ManualSuppression", "Customer", OUT, "news", False),  # maybe our own
        ("SpamComplaint", "Recipient", SPAM, None, True),
        ("HardBounce", "Recipient", BOUNCED, None, False),
    ],
)
def test_a_suppression_is_of_its_stream(
    reason: str, origin: str, kind: VendorEventKind, target: str | None, *, by_person: bool
) -> None:
    row = {"Recipient": ANNA, "MessageStream": "news", "ChangedAt": STAMP, "Origin": origin}
    (event,) = parse("SubscriptionChange", SuppressSending=True, SuppressionReason=reason, **row)
    why = Bounce(permanent=True, bad_address=True) if kind is BOUNCED else None
    assert event == VendorEvent(kind, ANNA, target, NOW, "", by_person, bounce=why)


def test_a_suppression_taken_back_lifts_nothing() -> None:  # I5
    row = {"Recipient": ANNA, "MessageStream": "news", "ChangedAt": STAMP}
    (event,) = parse("SubscriptionChange", SuppressSending=False, SuppressionReason=None, **row)
    assert event == VendorEvent(VendorEventKind.RESUBSCRIBED, ANNA, "news", NOW)


@pytest.mark.parametrize("record", ["Delivery", "Open", "Click"])
def test_what_is_of_no_use_is_left_out(record: str) -> None:
    assert parse(record, Recipient=ANNA) == []


def test_an_unknown_event_type_is_reported() -> None:
    found = [*parse("Consent"), *bounce("Odd"), *parse("SubscriptionChange", SuppressSending=True)]
    assert [event.target for event in found] == ["Consent", "Bounce Odd", "SubscriptionChange "]
