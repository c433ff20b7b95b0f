"""Whatever a body holds, it is read or refused: nothing else, or it would hold up the others."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.integrations.base.vendor_events import WebhookSource
from preference_center.integrations.base.webhook import parse_json_objects, parse_mail_date
from preference_center.integrations.registry import load_webhooks

NAMES = [
    "event", "email", "list_id", "data", "topic", "payload", "attributes", "event_properties",
    "relationships", "profile", "included", "timestamp", "object_type", "metric", "recipient",
    "identifiers", "content", "topics", "events", "event_type", "properties", "channel",
    "subscription_status", "eventName", "dataFields", "createdAt", "channelIds", "unsubSource",
    "type", "created_at", "to", "bounce", "diagnosticCode", "subscription", "meta", "morph",
    "item", "contact", "content_stat", "stat_type", "subscription_type", "member", "current",
    "previous", "newsletters", "msys",
]  # fmt: skip
WORDS = [
    "unsubscribe", "hard_bounce", "list_addition", "event:klaviyo.bounced_email", "customer",
    "email", "bounced", "cio_subscription_preferences_changed",
    "users.behaviors.subscriptiongroup.StateChange", "users.messages.email.Bounce",
    "emailUnSubscribe", "emailBounce", "email.bounced", "contact.topics.updated",
    "activity.unsubscribed", "granular.unsubscribe", "content_stat.email", "opted_out",
    "Unsubscribed", '{"topics": {"7": false}}', "anna@example.com", "\0\ud800",
]  # fmt: skip
LEAVES = st.sampled_from([*WORDS, None, True, 7, -1e400, 10**30, "0001-01-01T00:00+14:00"])
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)
SOURCES = [each for each in load_webhooks().values() if isinstance(each, WebhookSource)]
BODIES = st.dictionaries(st.sampled_from(NAMES), ANYTHING, min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(body=BODIES)
def test_nothing_but_a_refusal_comes_of_what_is_not_promised(body: dict[str, Any]) -> None:
    written = json.dumps(body).encode()
    for source in SOURCES:
        with suppress(InvalidInput):
            for event in source.parse(written):
                reported = f"{event.address}{event.target}{event.id}{event.contact_id}"
                assert "\0" not in reported
                assert reported.encode()


def test_what_no_database_takes_is_replaced() -> None:
    body = rb'[{"a\u0000": "x\u0000\ud800y", "b": ["\udfff", {"c": "\u00e9"}], "d": 7}]'
    assert parse_json_objects(body) == [{"a\x1a": "x\x1a\x1ay", "b": ["\x1a", {"c": "é"}], "d": 7}]


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"], ids=["NUL", "surrogate"])
def test_an_address_that_held_it_becomes_nobody_elses(odd: str) -> None:
    (row,) = parse_json_objects(f'{{"email": "a{odd}b@example.com"}}'.encode())
    with pytest.raises(InvalidAddress):
        parse_address(row["email"], Channel.EMAIL)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" + b"9" * 5_000 + b"]", b'{"a": \xff}'])
def test_what_is_too_deep_or_too_long_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json_objects(body)


@pytest.mark.parametrize(
    "text, found",
    [
        ("Thu, 26 Nov 2026 13:00:00 +0100", datetime(2026, 11, 26, 12, tzinfo=UTC)),
        ("Thu, 26 Nov 2026 12:00:00 GMT", datetime(2026, 11, 26, 12, tzinfo=UTC)),
        ("Thu, 26 Nov 2026 12:00:00 -0000", datetime(2026, 11, 26, 12, tzinfo=UTC)),
        ("Thu, 26 Nov 2026 " + "7" * 50 + ":00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("tomorrow", None),
        (None, None),
        (7, None),
    ],
    ids=["zone", "GMT", "unknown zone", "huge", "after all time", "words", "none", "number"],
)
def test_a_time_of_a_mail_is_read_or_is_none(text: object, found: datetime | None) -> None:
    assert parse_mail_date(text) == found
