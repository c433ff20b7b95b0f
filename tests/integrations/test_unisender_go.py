from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
)
from preference_center.integrations.unisender_go import UnisenderGoWebhookSource
from tests.integrations.base.posts import ANNA, NOW, post

KEY = "key-of-the-account"
SETTINGS = {"webhook_secret": KEY}
STAMP = "2026-11-25 12:00:00"


def email(status: str, reason: str = "", text: str = "", **more: Any) -> dict[str, Any]:
    info = {"delivery_status": reason, "destination_response": text}
    return {
        "event_name": "transactional_email_status",
        "email": ANNA,
        "status": status,
        "event_time": STAMP,
        "delivery_info": info,
    } | more


def parse(row: dict[str, Any]) -> list[VendorEvent]:
    return list(UnisenderGoWebhookSource().parse(json.dumps(row).encode()))


def signed(row: dict[str, Any], **options: Any) -> WebhookRequest:
    """As Unisender Go signs: with the key in the place of the proof, in whatever spacing."""
    written = json.dumps({**row, "auth": KEY}, **options).encode()
    return post(written.replace(KEY.encode(), hashlib.md5(written).hexdigest().encode()))


@pytest.mark.parametrize(
    "options",
    [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}],
    ids=["usual", "tight", "indented", "in UTF-8"],
)
def test_what_the_key_signed_is_genuine_however_it_is_written(options: dict[str, Any]) -> None:
    row = email("unsubscribed", comment="Не хочу")
    UnisenderGoWebhookSource().verify(signed(row, **options), SETTINGS, NOW)


def test_nothing_else_is() -> None:
    genuine = signed(email("unsubscribed"))
    unsigned = json.dumps(email("unsubscribed")).encode()
    for forged, settings in [
        (genuine, {"webhook_secret": "another"}),
        (replace(genuine, body=genuine.body.replace(b"anna", b"olga")), SETTINGS),
        (replace(genuine, body=unsigned), SETTINGS),
        (replace(genuine, body=unsigned[:-1] + b', "auth": ""}'), SETTINGS),
        (replace(genuine, body=b"[]"), SETTINGS),
        (replace(genuine, body=b"\xff"), SETTINGS),
    ]:
        with pytest.raises(SignatureError):
            UnisenderGoWebhookSource().verify(forged, settings, NOW)
    with pytest.raises(NotConfigured):
        UnisenderGoWebhookSource().verify(genuine, {}, NOW)


@pytest.mark.parametrize(
    "status, kind, by_person",
    [
        ("unsubscribed", VendorEventKind.OPTED_OUT, True),
        ("spam", VendorEventKind.COMPLAINED, True),
        ("subscribed", VendorEventKind.RESUBSCRIBED, False),
    ],
)
def test_what_people_say(status: str, kind: VendorEventKind, *, by_person: bool) -> None:
    assert parse(email(status)) == [VendorEvent(kind, ANNA, occurred_at=NOW, by_person=by_person)]


@pytest.mark.parametrize("status", ["sent", "delivered", "opened", "clicked", "soft_bounced"])
def test_what_changes_nothing_is_left_alone(status: str) -> None:
    assert parse(email(status, "err_will_retry")) == []
    assert parse({"event_name": "transactional_spam_block"}) == []


@pytest.mark.parametrize(
    "reason, status, permanent",
    [
        ("err_user_unknown", "5.1.1", True),
        ("err_user_inactive", "5.2.1", True),
        ("err_domain_inactive", "5.1.2", True),
        ("err_mailbox_full", "5.7.1", False),
        ("err_delivery_failed", "5.7.1", None),
    ],
)
def test_a_bounce_counts_for_what_unisender_makes_of_it(
    reason: str, status: str, *, permanent: bool | None
) -> None:
    text = "550 5.7.1 Not here"
    (event,) = parse(email("hard_bounced", reason, text))
    bounce = Bounce(status, "550", text, permanent=permanent)
    assert event == VendorEvent(VendorEventKind.BOUNCED, ANNA, occurred_at=NOW, bounce=bounce)


@pytest.mark.parametrize("status", ["hard_bounced", "soft_bounced"])
def test_a_mail_not_sent_to_who_unsubscribed_is_an_opt_out(status: str) -> None:
    assert parse(email(status, "err_unsubscribed")) == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=NOW)
    ]


def test_events_of_several_users_come_in_one_body() -> None:
    inner = {"event_name": "transactional_email_status", "event_data": email("unsubscribed")}
    users = [{"user_id": 1, "events": [inner, inner]}, {"user_id": 2, "events": [inner]}]
    assert parse({"auth": "", "events_by_user": users}) == parse(email("unsubscribed")) * 3


def test_what_is_new_there_is_kept_for_a_person() -> None:
    found = [*parse(email("left")), *parse({"event_name": "list_left"})]
    assert [event.target for event in found] == ["left", "list_left"]
    with pytest.raises(InvalidInput):
        parse({"status": "unsubscribed"})
