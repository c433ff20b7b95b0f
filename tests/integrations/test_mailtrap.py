from __future__ import annotations

import hmac
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
)
from preference_center.integrations.mailtrap import MailtrapWebhookSource
from tests.integrations.base.posts import ANNA, AT, NOW, post

SETTINGS = {"webhook_secret": "signing-secret-of-ours"}


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"event": name, "email": ANNA, "timestamp": AT, "event_id": "e-1"} | more


def parse(*rows: Any) -> list[VendorEvent]:
    return list(MailtrapWebhookSource().parse(json.dumps({"events": rows}).encode()))


def test_only_what_the_secret_signed_is_genuine() -> None:
    body = json.dumps({"events": [event("unsubscribe")]}).encode()
    digest = hmac.digest(SETTINGS["webhook_secret"].encode(), body, "sha256").hex()
    genuine = post(body, {"mailtrap-signature": digest})
    MailtrapWebhookSource().verify(genuine, SETTINGS, NOW)
    for forged, settings in [
        (replace(genuine, body=body + b" "), SETTINGS),
        (replace(genuine, headers={}), SETTINGS),
        (genuine, {"webhook_secret": "another"}),
    ]:
        with pytest.raises(SignatureError):
            MailtrapWebhookSource().verify(forged, settings, NOW)
    with pytest.raises(NotConfigured):
        MailtrapWebhookSource().verify(genuine, {}, NOW)


@pytest.mark.parametrize(
    "name, kind", [("unsubscribe", VendorEventKind.OPTED_OUT), ("spam", VendorEventKind.COMPLAINED)]
)
def test_what_people_say(name: str, kind: VendorEventKind) -> None:
    assert parse(event(name)) == [VendorEvent(kind, ANNA, None, NOW, "e-1", by_person=True)]


def test_json_lines_are_read_as_well() -> None:
    lines = [json.dumps(event(name)).encode() for name in ("unsubscribe", "open", "spam")]
    both = parse(event("unsubscribe"), event("spam"))
    assert list(MailtrapWebhookSource().parse(b"\n".join(lines) + b"\n")) == both
    assert list(MailtrapWebhookSource().parse(lines[0])) == both[:1]


@pytest.mark.parametrize(
    "category, permanent",
    [("hard", True), ("invalid_recipient", True), ("block", False), ("dnsFail", False), ("", None)],
)
def test_a_bounce_is_for_good_if_mailtrap_suppresses_for_it(
    category: str, *, permanent: bool | None
) -> None:
    text = "bounced (550 5.1.1 No such user)"
    (vendor_event,) = parse(
        event("bounce", response=text, response_code=550, bounce_category=category)
    )
    is_bad = category == "invalid_recipient"
    bounce = Bounce("5.1.1", "550", text, permanent=permanent, bad_address=is_bad)
    assert vendor_event == VendorEvent(
        VendorEventKind.BOUNCED, ANNA, None, NOW, "e-1", bounce=bounce
    )


@pytest.mark.parametrize(
    "reason, kind",
    [
        ("Recipient in suppression list. Reason: unsubscription", VendorEventKind.OPTED_OUT),
        ("Recipient in suppression list. Reason: spam complaint", VendorEventKind.COMPLAINED),
        ("Recipient in suppression list. Reason: hard bounce", VendorEventKind.BOUNCED),
        ("Recipient in suppression list. Reason: manual import", VendorEventKind.UNKNOWN_TYPE),
        ("Rejected as spam", None),
        ("The domain is not verified", None),
        (None, None),
    ],
    ids=["unsubscribed", "complained", "bounced", "by hand", "content", "domain", "no reason"],
)
def test_a_rejected_mail_counts_for_what_was_noted_before(
    reason: str | None, kind: VendorEventKind | None
) -> None:
    found = parse(event("reject", reason=reason))
    assert [vendor_event.kind for vendor_event in found] == ([kind] if kind else [])
    assert not any(vendor_event.by_person for vendor_event in found)


@pytest.mark.parametrize(
    "name", ["delivery", "open", "click", "soft bounce", "suspension", "activity_log.user.login"]
)
def test_what_changes_nothing_is_left_alone(name: str) -> None:
    assert parse(event(name)) == []


def test_what_is_new_there_is_kept_for_a_person() -> None:
    found = parse(event("inbound.message_received"), event("unsubscribe", email=None))
    assert [vendor_event.target for vendor_event in found] == [
        "inbound.message_received",
        "opted_out without address",
    ]


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"events": [1]}', b'{"event": ""}', b'{"event": "open"}\n{'],
    ids=["nothing", "no object", "no name", "half a line"],
)
def test_what_is_not_promised_is_not_read(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        MailtrapWebhookSource().parse(body)
