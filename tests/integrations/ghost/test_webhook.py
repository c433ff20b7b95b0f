from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.ghost.webhook import GhostWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, post

WHEN = NOW + timedelta(milliseconds=7)
OUT, IN, SEEN = (
    VendorEventKind.OPTED_OUT,
    VendorEventKind.RESUBSCRIBED,
    VendorEventKind.CONTACT_CHANGED,
)


def member(*newsletters: str) -> dict[str, Any]:
    return {
        "email": ANNA,
        "updated_at": "2020-11-25T12:00:00.000Z",
        "newsletters": [{"id": number, "name": "News"} for number in newsletters],
    }


def had(*newsletters: str) -> dict[str, Any]:
    return {"newsletters": member(*newsletters)["newsletters"]}


def parse(current: dict[str, Any], previous: dict[str, Any], **more: str) -> list[VendorEvent]:
    row = {"member": {"current": current, "previous": previous}} | more
    return list(GhostWebhookSource().parse(kept(json.dumps(row).encode())))


def kept(body: bytes, at: int = AT * 1000 + 7) -> bytes:
    signature = {"x-ghost-signature": f"sha256=abc, t={at}"}
    return GhostWebhookSource().stored_body(post(body, signature))


@pytest.mark.parametrize(
    "current, previous, expected",
    [
        (member("a", "b"), had("a", "b", "c"), [(OUT, "c")]),
        (member(), had("a", "b"), [(OUT, "a"), (OUT, "b")]),
        (member("a"), had("b"), [(OUT, "b"), (IN, "a")]),
        (member("a"), had("a"), [(SEEN, None)]),
        (member("a"), {"name": "Anna"}, [(SEEN, None)]),
        (member("a"), {}, [(SEEN, None)]),  # new
        ({}, member("a"), []),  # deleted: somebody tidied up
    ],
)
def test_what_a_member_left_is_reported(
    current: dict[str, Any],
    previous: dict[str, Any],
    expected: list[tuple[VendorEventKind, str | None]],
) -> None:
    found = parse(current, previous, event="member.edited")
    assert found == [VendorEvent(kind, ANNA, target, WHEN) for kind, target in expected]
    assert parse(current, previous) == found  # as older ones tell it


@pytest.mark.parametrize(
    "row, target",
    [
        ({"event": "post.published", "post": {}}, None),
        ({"page": {"current": {}, "previous": {}}}, None),
        ({"event": "comment.added", "comment": {}}, "comment.added"),
        ({}, "(no name)"),
    ],
)
def test_what_is_about_no_member_is_of_no_use(row: dict[str, Any], target: str | None) -> None:
    found = GhostWebhookSource().parse(kept(json.dumps(row).encode()))
    assert found == ([VendorEvent(VendorEventKind.UNKNOWN_TYPE, "", target)] if target else [])


def test_the_same_body_of_two_acts_is_two() -> None:
    assert kept(b"{}", 7) != kept(b"{}", 8)
    assert kept(b"{}", 7) == kept(b"{}", 7)  # tried again
