"""What a piece of news is about, as the destination's mapping has it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from preference_center.core.bounces import DeliverabilityPolicy
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, EventKind
from preference_center.destinations.rules.classify import (
    AddressContext,
    Evaluation,
    EventAction,
    classify_event,
)
from preference_center.destinations.rules.states import AddressSyncState
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    ALL_SMS,
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.registry import get_webhook_source
from tests.decisions.facts import RESTRICTED, mark, off

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HERE = AddressContext((), frozenset({"news"}), frozenset(), None)


@pytest.mark.parametrize(
    "target, mapped, scope",
    [
        (None, {"11": "news"}, ALL_MARKETING),
        ("11", {"11": "news"}, "news"),
        ("12", {"11": "news"}, None),
        (WHOLE_LIST, {"11": "news"}, ALL_MARKETING),
        (ALL_EMAIL, {"11": "news"}, ALL_MARKETING),
        (WHOLE_LIST, {WHOLE_LIST: "news"}, "news"),
        (ALL_EMAIL, {ALL_EMAIL: "news"}, "news"),
        (ALL_SMS, {"11": "news"}, ALL_MARKETING),
        (ALL_SMS, {ALL_SMS: "news"}, "news"),
    ],
)
def test_an_opt_out_covers_what_its_target_maps_to(
    target: str | None, mapped: dict[str, str], scope: str | None
) -> None:  # I10
    event = VendorEvent(VendorEventKind.OPTED_OUT, "anna@example.com", target, NOW, by_person=True)
    found = classify_event(event, HERE, mapped, DeliverabilityPolicy(), NOW)
    recorded = Evaluation(EventAction.RECORD, EventKind.OPTED_OUT, scope or "")
    assert found == (recorded if scope else Evaluation(EventAction.UNMAPPED))


OUR_PUSHES: dict[str, tuple[str, dict[str, Any]]] = {
    "resend": (
        "7a1c",
        {
            "type": "contact.topics.updated",
            "created_at": NOW.isoformat(),
            "data": {
                "email": "anna@example.com",
                "topics": [{"id": "7a1c", "subscription": "opt_out"}],
            },
        },
    ),
    "customerio": (
        "topic_11",
        {
            "object_type": "customer",
            "metric": "cio_subscription_preferences_changed",
            "event_id": "01",
            "timestamp": int(NOW.timestamp()),
            "data": {
                "identifiers": {"email": "anna@example.com"},
                "content": '{"topics": {"topic_11": false}}',
            },
        },
    ),
    "iterable": (
        "channel:11",
        {
            "email": "anna@example.com",
            "eventName": "emailUnSubscribe",
            "dataFields": {
                "createdAt": "2026-11-25 12:00:00 +00:00",
                "unsubSource": "ApiSubscriptionUpdate",
                "channelIds": [11],
            },
        },
    ),
}
"""Kind of destination -> a target, and what the tool posts once we turned it off there."""


@pytest.mark.parametrize("kind", OUR_PUSHES)
@pytest.mark.parametrize("by_us", [True, False], ids=["pushed", "another hand"])
def test_what_we_pushed_does_not_come_back_as_a_persons_act(kind: str, by_us: bool) -> None:  # noqa: FBT001
    """I13: what we did not push is somebody's act."""
    target, body = OUR_PUSHES[kind]
    (event,) = get_webhook_source(kind).parse(json.dumps(body).encode())
    pushed = frozenset({"news"} if by_us else ())
    state = AddressSyncState(1, True, False, True, 1, pushed, False, "reflected", None)
    here = AddressContext((), frozenset({"news"}), frozenset(), state)
    found = classify_event(event, here, {target: "news"}, DeliverabilityPolicy(), NOW)
    assert found.action is (EventAction.ECHO if by_us else EventAction.RECORD)


@pytest.mark.parametrize("target, scope", [("11", "news"), (None, ALL_MARKETING)])
def test_an_opt_out_made_in_a_tool_during_a_restriction_is_recorded(
    target: str | None, scope: str
) -> None:  # I13: it stays when the restriction ends
    facts = (RESTRICTED,)
    here = AddressContext(facts, frozenset({"news", "offers"}), frozenset(), None)
    event = VendorEvent(VendorEventKind.OPTED_OUT, "anna@example.com", target, NOW)
    found = classify_event(event, here, {"11": "news"}, DeliverabilityPolicy(), NOW)
    assert found == Evaluation(EventAction.RECORD, EventKind.OPTED_OUT, scope)


@pytest.mark.parametrize(
    "kind, target, scope",
    [
        (VendorEventKind.OPTED_OUT, "11", "news"),
        (VendorEventKind.OPTED_OUT, None, ALL_MARKETING),
        (VendorEventKind.COMPLAINED, "11", ALL_MARKETING),
    ],
)
def test_an_opt_out_made_in_a_tool_is_recorded_where_only_a_correction_stopped_the_address(
    kind: VendorEventKind, target: str | None, scope: str
) -> None:  # I5, I13: the correction may be undone
    moved = off(ALL_MARKETING, kind=EventKind.MOVED)
    here = AddressContext((moved,), frozenset({"news", "offers"}), frozenset(), None)
    event = VendorEvent(kind, "anna@example.com", target, None)
    found = classify_event(event, here, {"11": "news"}, DeliverabilityPolicy(), NOW)
    assert (found.action, found.scope) == (EventAction.RECORD, scope)


def test_a_bounce_is_recorded_again_after_an_opt_in_to_an_address_that_was_corrected() -> None:
    """I5: the opt-in ended the older bounce, though a correction had stopped the address."""
    moved = off(ALL_MARKETING, at=-30, kind=EventKind.MOVED)
    lifted = replace(moved, state=replace(moved.state, lift=mark(-10)))
    bounced = off(UNDELIVERABLE, at=-20, kind=EventKind.BOUNCED)
    here = AddressContext((lifted, bounced), frozenset({"news"}), frozenset(), None)
    event = VendorEvent(VendorEventKind.BOUNCED, "anna@example.com")
    found = classify_event(event, here, {}, DeliverabilityPolicy(), NOW)
    assert found == Evaluation(EventAction.RECORD, EventKind.BOUNCED, UNDELIVERABLE)
